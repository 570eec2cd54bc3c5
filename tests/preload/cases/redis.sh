# redis-server under redis-benchmark, on the loopback and a free port; stopped at the end.
# needs: redis-server redis-cli redis-benchmark
server=
stop_server() {
    [[ -z $server ]] || kill "$server" 2>/dev/null || true
}
trap stop_server EXIT
ask() { redis-cli -p "$port" "$@"; }
for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 20000))
    redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no >log 2>&1 &
    server=$!
    for _ in $(seq 1 100); do
        [[ $(ask ping 2>/dev/null) == PONG ]] && break 2
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
done
redis-benchmark -h 127.0.0.1 -p "$port" -q -n 20000 -c 20 -d 300 -r 5000 \
    -t set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset >/dev/null
ask flushall
for i in $(seq 1 40); do
    echo "SET key$i $(printf '%0*d' $((i * 50)) "$i")"
done | ask | sort | uniq -c
ask dbsize
ask eval 'local n = 0
    for i = 1, 40 do n = n + #redis.call("GET", "key" .. i) end
    return n' 0
ask append key7 tail
ask save
ask memory doctor >/dev/null
ask shutdown nosave 2>/dev/null || true
wait "$server"
echo "server ended with $?"
server=
