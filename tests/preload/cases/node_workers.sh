# node with worker threads that pass buffers, and child processes.
# needs: node
cat >script.js <<'END'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const { execFileSync } = require('child_process');
if (isMainThread) {
    const runs = [...Array(6).keys()].map((n) => new Promise((resolve, reject) => {
        const worker = new Worker(__filename, { workerData: n });
        worker.on('message', (b) => resolve(b.reduce((a, v) => a + v, n)));
        worker.on('error', reject);
    }));
    Promise.all(runs).then((sums) => {
        console.log(sums.join());
        console.log(execFileSync(process.execPath, ['-p', '6*7']).toString().trim());
    });
} else {
    const parts = [];
    for (let i = 0; i < 2000; i++) parts.push(Buffer.alloc(i, workerData));
    const all = new Uint8Array(Buffer.concat(parts));
    parentPort.postMessage(all, [all.buffer]);
}
END
node script.js
