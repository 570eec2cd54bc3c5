# ruby: hashes, strings, threads, fork and garbage collection.
# needs: ruby
cat >script.rb <<'END'
require 'json'
require 'digest'
h = Hash.new { |hash, k| hash[k] = +"" }
100_000.times { |i| h["k#{i * 7919 % 20011}"] << (97 + i % 26).chr }
puts h.size, Digest::SHA256.hexdigest(JSON.generate(h.sort.to_h))
list = nil
200_000.times { |i| list = [list, i] }
list = nil
GC.start
threads = (1..8).map { |n| Thread.new { (1..2000).map { |i| (i * n).to_s * 5 }.join.size } }
puts threads.map(&:value).inspect
10.times do |i|
  pid = fork { x = (1..1000).map { |k| "v" * (k % 90) }; exit!(x.size % 256 == 232 ? i : 99) }
  Process.wait(pid)
  raise "child" unless $?.exitstatus == i
end
puts `echo from a shell`, (7**2000).to_s.size, "a-b-c".gsub(/(\w)-/) { $1 * 2 }
END
ruby script.rb
