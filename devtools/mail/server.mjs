// A mail server for development: takes every message and sends none on. Each becomes a file,
// `<time>-<number>.eml`, in CATRACA_MAIL_DATA, complete as soon as it has that name.
import { mkdirSync } from "node:fs";
import { open, rename, readdir } from "node:fs/promises";
import { join } from "node:path";
import { SMTPServer } from "smtp-server";

/** Largest message taken, in bytes. */
const MESSAGE_BYTES_MAX = 10 * 1024 * 1024;

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

const folder = required("CATRACA_MAIL_DATA");
const [host, port] = required("CATRACA_LISTEN").split(":");
mkdirSync(folder, { recursive: true });
let count = (await readdir(folder)).length;

/** On the disk before the sender hears that it was taken. */
async function keep(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  if (stream.sizeExceeded) throw Object.assign(new Error("message too large"), { responseCode: 552 });
  count += 1;
  const name = `${new Date().toISOString().replaceAll(":", "")}-${String(count).padStart(5, "0")}.eml`;
  const file = await open(join(folder, `.${name}`), "w");
  await file.writeFile(Buffer.concat(chunks));
  await file.sync();
  await file.close();
  await rename(join(folder, `.${name}`), join(folder, name));
  return name;
}

const server = new SMTPServer({
  name: "catraca-mail",
  banner: "development: nothing is sent on",
  disabledCommands: ["AUTH", "STARTTLS"],
  size: MESSAGE_BYTES_MAX,
  onData(stream, _session, done) {
    keep(stream).then((name) => {
      console.log(`kept ${name}`);
      done(null, name);
    }, done);
  },
});
// A client that goes away halfway is no reason to end.
server.on("error", (error) => console.error(error.message));
server.listen(Number(port), host, () => console.log(`listening on ${host}:${port}, keeping in ${folder}`));
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => server.close(() => process.exit(0)));
