// Builds the pages: web/src and web/pages in, web/dist out. The same input gives the same bytes.
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const dist = `${here}dist`;
const wasm = fileURLToPath(new URL('../verify/build/verify_bg.wasm', import.meta.url));
if (!existsSync(wasm)) throw new Error('the checks for the browser are missing: run scripts/build-verify');

/** Imports a TypeScript module of ours into this program. */
async function importSource(path) {
  const { outputFiles } = await build({
    entryPoints: [path], bundle: true, format: 'esm', write: false, logLevel: 'error',
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}

/** Bundles a page's script or style and returns its bytes. */
async function bundle(path, format = 'esm') {
  const { outputFiles } = await build({
    entryPoints: [path], bundle: true, minify: true, format, target: 'es2022',
    legalComments: 'none', charset: 'utf8', write: false, logLevel: 'error',
  });
  return outputFiles[0].contents;
}

/** Writes an asset under a name that changes with its content, so that it may be cached for ever. */
async function writeAsset(name, extension, bytes) {
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 10);
  const file = `${name}-${hash}.${extension}`;
  written.add(`assets/${file}`);
  await writeFile(`${dist}/assets/${file}`, bytes);
  return `/assets/${file}`;
}

const escapeHtml = (text) =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);

/** Replaces `[[module.key]]` by the page's words and `[[asset:name]]` by hashed addresses. */
function fill(html, page, words, assets) {
  return html.replace(/\[\[([^\]]+)\]\]/g, (_, key) => {
    if (key.startsWith('asset:')) {
      const address = assets[key.slice('asset:'.length)];
      if (address === undefined) throw new Error(`${page}: no asset for ${key}`);
      return address;
    }
    const value = key.split('.').reduce((node, part) => node?.[part], words);
    if (typeof value !== 'string') throw new Error(`${page}: no text for ${key}`);
    return escapeHtml(value);
  });
}

// A running edge serves this folder: new files first, stale ones go at the end.
const written = new Set();
await mkdir(`${dist}/assets`, { recursive: true });
await mkdir(`${dist}/pages`, { recursive: true });

const pages = (await readdir(`${here}pages`)).filter((name) => name.endsWith('.html')).sort();
const assets = {
  style: await writeAsset('style', 'css', await bundle(`${here}src/style.css`)),
  logo: await writeAsset('logo', 'svg', await readFile(`${here}src/logo.svg`)),
  wasm: await writeAsset('verify', 'wasm', await readFile(wasm)),
};
assets.manifest = await writeAsset('door', 'webmanifest', Buffer.from(JSON.stringify({
  name: 'Catraca: door', short_name: 'Door', start_url: '/door', scope: '/door', display: 'standalone',
  background_color: '#f6f5f1', theme_color: '#0b5d50',
  icons: [{ src: assets.logo, type: 'image/svg+xml', sizes: 'any' }],
})));
for (const source of await readdir(`${here}src/workers`)) {
  const name = `worker-${source.replace('.ts', '')}`;
  assets[name] = await writeAsset(name, 'js', await bundle(`${here}src/workers/${source}`));
}
for (const source of await readdir(`${here}src`)) {
  const name = source.replace('.ts', '');
  if (!pages.includes(`${name}.html`)) continue;
  assets[name] = await writeAsset(name, 'js', await bundle(`${here}src/${source}`));
}
// Not under /assets/: where it is says which addresses it may answer for.
await writeFile(`${dist}/sw.js`, await bundle(`${here}src/sw.ts`, 'iife'));
const words = await importSource(`${here}src/text.ts`);
const head = await readFile(`${here}src/head.html`, 'utf8');
const masthead = await readFile(`${here}src/masthead.html`, 'utf8');
for (const page of pages) {
  const html = (await readFile(`${here}pages/${page}`, 'utf8'))
    .replace('[[head]]', () => head.trimEnd())
    .replace('[[masthead]]', () => masthead.trimEnd());
  written.add(`pages/${page}`);
  await writeFile(`${dist}/pages/${page}`, fill(html, page, words, assets));
}
for (const folder of ['assets', 'pages']) {
  for (const name of await readdir(`${dist}/${folder}`)) {
    if (!written.has(`${folder}/${name}`)) await rm(`${dist}/${folder}/${name}`);
  }
}
