# lua: tables, strings, closures, coroutines and garbage collection.
# needs: lua5.4|lua5.3|lua
lua=$(command -v lua5.4 || command -v lua5.3 || command -v lua)
cat >script.lua <<'END'
local t = {}
for i = 1, 200000 do t[i % 5003] = (t[i % 5003] or "") .. string.char(97 + i % 26) end
local n = 0
for _, v in pairs(t) do n = n + #v end
print(n, t[77])
local words = {}
for w in (("alpha beta gamma "):rep(5000)):gmatch("%a+") do words[#words + 1] = w:upper() end
print(#words, table.concat(words, ",", 1, 4))
table.sort(words)
print(words[1], words[#words])
local function gen(k)
    return coroutine.wrap(function()
        for i = 1, k do coroutine.yield({ i, tostring(i) }) end
    end)
end
local sum = 0
for c = 1, 200 do for v in gen(100) do sum = sum + v[1] + #v[2] end end
print(sum)
local list = nil
for i = 1, 300000 do list = { next = list, value = i } end
list = nil
collectgarbage()
print(collectgarbage("count") < 100000)
END
"$lua" script.lua
