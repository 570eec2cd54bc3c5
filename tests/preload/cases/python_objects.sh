# python3 on the system's malloc: json, dicts, strings, big numbers, decimal, regular expressions.
# needs: python3
export PYTHONMALLOC=malloc PYTHONHASHSEED=0
cat >script.py <<'END'
import collections, decimal, hashlib, itertools, json, re, zlib
data = {str(i): {"n": i, "list": list(range(i % 30)), "s": "x" * (i % 200)} for i in range(8000)}
text = json.dumps(data, sort_keys=True)
print(len(text), hashlib.sha256(text.encode()).hexdigest())
back = json.loads(text)
assert back == data
del data["17"]
print(sum(v["n"] for v in back.values()), len(data))
print(sum(itertools.accumulate(range(1000))), str(7 ** 3000)[:40])
decimal.getcontext().prec = 200
print(decimal.Decimal(2).sqrt())
counts = collections.Counter(re.findall(r"[a-z]\d", text[:200000]))
print(counts.most_common(3), zlib.crc32(zlib.compress(text.encode(), 9)))
big = bytearray()
for i in range(300):
    big += bytes(i * 37)
    big = big[len(big) // 7:]
print(len(big))
class Node:
    def __init__(self, next):
        self.next = next
node = None
for i in range(50000):
    node = Node(node)
while node:
    node = node.next
def cycle(n):
    a, b = Node(None), Node(None)
    a.next, b.next = b, a
for i in range(30000):
    cycle(i)
print("done")
END
python3 script.py
