# python3 with threads that exchange objects through queues.
# needs: python3
export PYTHONMALLOC=malloc
cat >script.py <<'END'
import concurrent.futures, hashlib, queue, threading
work, results = queue.Queue(), queue.Queue()
def run():
    while True:
        item = work.get()
        if item is None:
            return
        results.put((item, hashlib.sha256(b"x" * (item * 100)).hexdigest()))
threads = [threading.Thread(target=run) for _ in range(8)]
for t in threads:
    t.start()
for i in range(2000):
    work.put(i)
for t in threads:
    work.put(None)
for t in threads:
    t.join()
total = hashlib.sha256()
for item in sorted(results.get() for _ in range(2000)):
    total.update(repr(item).encode())
print(total.hexdigest())
for _ in range(300):
    t = threading.Thread(target=lambda: [str(i) * 10 for i in range(100)])
    t.start()
    t.join()
with concurrent.futures.ThreadPoolExecutor(6) as pool:
    print(sum(pool.map(lambda n: len(str(3 ** n)), range(1500))))
END
python3 script.py
