# node: promises, buffers, maps, streams, JSON, big numbers and garbage collection.
# needs: node
cat >script.js <<'END'
const crypto = require('crypto'), zlib = require('zlib'), { Readable } = require('stream');
async function main() {
    const m = new Map();
    for (let i = 0; i < 100000; i++) m.set('k' + (i * 7919 % 20011), { i, s: 'x'.repeat(i % 50) });
    console.log(m.size, JSON.stringify([...m.values()].slice(0, 3)));
    const sums = await Promise.all([...Array(500).keys()].map(async (n) => {
        const b = Buffer.alloc(n * 37, n);
        return crypto.createHash('sha256').update(b).digest('hex');
    }));
    console.log(crypto.createHash('md5').update(sums.join()).digest('hex'));
    const big = Buffer.concat([...Array(300).keys()].map((n) => Buffer.alloc(1000 + n, n)));
    const back = zlib.gunzipSync(zlib.gzipSync(big));
    console.log(back.equals(big), back.length);
    let total = 0;
    function* chunks() { for (let i = 0; i < 2000; i++) yield Buffer.alloc(i); }
    for await (const chunk of Readable.from(chunks())) total += chunk.length;
    console.log(total, (7n ** 500n % 1000003n).toString());
    for (let i = 0; i < 60; i++) new ArrayBuffer(8 << 20);
    console.log('done');
}
main();
END
node script.js
