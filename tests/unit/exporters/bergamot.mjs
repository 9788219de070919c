// Translates lines with Bergamot's engine in Node: node bergamot.mjs PACKAGE FOLDER < sources; FOLDER is what `--format marian` writes.
// The engine's WASM wants seven integer products from its host, and brings portable ones along, which stand in here.
import {createRequire} from 'node:module';
import {readFileSync} from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';

const [place, folder] = process.argv.slice(2);
const worker = path.join(place, 'worker');
const portable = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase()) + 'Fallback';

const said = [];
const engine = {print: (line) => said.push(line), printErr: (line) => said.push(line)};
await new Promise((resolve, reject) => {
  engine.onRuntimeInitialized = resolve;
  engine.instantiateWasm = (imports, accept) => {
    const binary = new WebAssembly.Module(readFileSync(path.join(worker, 'bergamot-translator-worker.wasm')));
    const wanted = WebAssembly.Module.imports(binary).filter(({module}) => module === 'wasm_gemm');
    const products = Object.fromEntries(wanted.map(({name}) => [name, (...numbers) => engine.asm[portable(name)](...numbers)]));
    WebAssembly.instantiate(binary, {...imports, wasm_gemm: products}).then(accept, reject);
    return {};
  };
  const glue = readFileSync(path.join(worker, 'bergamot-translator-worker.js'), 'utf8');
  vm.runInThisContext(`(Module, require, __dirname) => {${glue}\n}`)(engine, createRequire(import.meta.url), worker);
});

function memory(name, alignment) {
  const bytes = name ? readFileSync(path.join(folder, name)) : Buffer.alloc(0);
  const held = new engine.AlignedMemory(bytes.length, alignment);
  held.getByteArrayView().set(bytes);
  return held;
}

const config = readFileSync(path.join(folder, 'config.yml'), 'utf8').replace(/^(relative-paths|models|vocabs):.*\n/gm, '');
const vocabularies = new engine.AlignedMemoryList();
vocabularies.push_back(memory('vocab.spm', 64));
try {
  const model = new engine.TranslationModel(`${config}ssplit-mode: sentence\nalignment: soft\n`, memory('model.bin', 256), memory('', 64), vocabularies, null);
  const service = new engine.BlockingService({cacheSize: 0});
  const input = new engine.VectorString();
  const options = new engine.VectorResponseOptions();
  for (const line of readFileSync(0, 'utf8').trimEnd().split('\n')) {
    input.push_back(line);
    options.push_back({html: false, qualityScores: false, alignment: false});
  }
  const responses = service.translate(model, input, options);
  for (let row = 0; row < responses.size(); row++) console.log(responses.get(row).getTranslatedText());
} catch (error) {
  console.error(`${error}\n${said.slice(-5).join('\n')}`);
  process.exit(3);
}
