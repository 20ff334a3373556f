// The variant "sharp" of image_cost, in a process of its own: MODULE INPUT FORMAT CALLS. Prints the same JSON as image_worker.py.
const fs = require('fs');
const [, , module_, input, format, calls] = process.argv;
const sharp = require(module_);
sharp.cache(false); // the same file again and again: nothing may be remembered

const source = fs.readFileSync(input);
const rendition = (side) =>
  sharp(source)
    .rotate()
    .resize(side, side, { fit: 'inside', withoutEnlargement: true })
    .toFormat(format, { quality: 80 })
    .toBuffer({ resolveWithObject: true });
const make = () => Promise.all([1600, 320].map(rendition));

(async () => {
  const made = await make();
  const times = [];
  const before = process.cpuUsage();
  for (let call = 0; call < Number(calls); call++) {
    const began = process.hrtime.bigint();
    await make();
    times.push(Number(process.hrtime.bigint() - began) / 1e6);
  }
  const cpu = process.cpuUsage(before);
  process.stdout.write(JSON.stringify({
    times,
    cpuMs: (cpu.user + cpu.system) / 1000 / times.length,
    peakMb: process.resourceUsage().maxRSS / 1024,
    sizes: made.map(({ info }) => [info.width, info.height]),
    bytes: made.reduce((total, { data }) => total + data.length, 0),
  }));
})();
