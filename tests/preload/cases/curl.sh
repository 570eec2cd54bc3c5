# curl: its version, and files fetched in parallel.
# needs: curl seq
curl --version | sed -n 1p
for i in $(seq 1 20); do seq 1 $((i * 3000)) >"in$i"; done
for i in $(seq 1 20); do
    echo "url = \"file://$PWD/in$i\""
    echo "output = \"out$i\""
done >config
curl -s --parallel -K config
cat out* | cksum
curl -s "file://$PWD/absent" || echo "refused with status $?"
