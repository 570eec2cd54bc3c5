# python3 with subprocesses, bare forks beside threads, and a pool of processes.
# needs: python3
export PYTHONMALLOC=malloc
cat >script.py <<'END'
import multiprocessing, os, subprocess, sys, threading
def square(n):
    return n * n + len("y" * n)
if __name__ == "__main__":
    print(subprocess.run(["sh", "-c", "echo from a child; exit 3"], capture_output=True).stdout)
    stop = threading.Event()
    def busy():
        while not stop.is_set():
            [bytearray(i) for i in range(0, 5000, 100)]
    threads = [threading.Thread(target=busy) for _ in range(3)]
    for t in threads:
        t.start()
    for i in range(30):
        child = os.fork()
        if child == 0:
            data = {k: "v" * k for k in range(300)}
            os._exit(len(data) % 256)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 300 % 256
    stop.set()
    for t in threads:
        t.join()
    with multiprocessing.Pool(4) as pool:
        print(sum(pool.map(square, range(2000))))
    out = subprocess.check_output([sys.executable, "-c", "print(sum(range(10**5)))"])
    print(out.decode().strip())
END
python3 script.py
