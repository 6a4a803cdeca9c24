// The peer's side of `first_visit.mjs`: transformers.js's own files, and the shipped model as it wants a model.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Ids of CLIP's vocabulary: the bytes, the bytes at a word's end, the merges, two marks. */
function vocabularyOf(merges) {
  const visible = [...range(33, 126), ...range(161, 172), ...range(174, 255)];
  const others = range(0, 255).filter((byte) => !visible.includes(byte));
  const bytes = [...visible, ...others.map((_, i) => 256 + i)].map((code) => String.fromCharCode(code));
  const words = [...bytes, ...bytes.map((byte) => `${byte}</w>`), ...merges.map((pair) => pair.replace(' ', ''))];
  return Object.fromEntries([...words, '<|startoftext|>', '<|endoftext|>'].map((word, id) => [word, id]));
}

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** A `tokenizer.json` as CLIP's, for the shipped merges. */
function tokenizer({ text }, merges) {
  const vocabulary = vocabularyOf(merges);
  const mark = (content, id) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true });
  const [start, end] = [text.tokenizer.vocab_size - 2, text.tokenizer.vocab_size - 1];
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [mark('<|startoftext|>', start), mark('<|endoftext|>', end), mark('<|pad|>', text.pad_id)],
    normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' }, { type: 'Lowercase' }] },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+" }, behavior: 'Removed', invert: true },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
      ],
    },
    post_processor: { type: 'RobertaProcessing', sep: ['<|endoftext|>', end], cls: ['<|startoftext|>', start], trim_offsets: false, add_prefix_space: false },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true },
    model: { type: 'BPE', dropout: null, unk_token: '<|endoftext|>', continuing_subword_prefix: '', end_of_word_suffix: '</w>', fuse_unk: false, vocab: vocabulary, merges },
  };
}

/** What the peer's page asks the host for. */
export function peerAnswers(folder, model) {
  const answers = {};
  const packages = { '@huggingface/transformers': /^transformers\.min\.js$/, 'onnxruntime-web': /^ort-wasm.*\.(mjs|wasm)$/ };
  for (const [name, wanted] of Object.entries(packages)) {
    const dist = join(folder, 'node_modules', name, 'dist');
    for (const file of readdirSync(dist)) if (wanted.test(file)) answers[`/peer/${file}`] = () => readFileSync(join(dist, file));
  }
  const manifest = JSON.parse(readFileSync(join(model, 'manifest.json'), 'utf8'));
  const { image, text, dim } = manifest;
  const merges = readFileSync(join(model, text.tokenizer.file), 'utf8').split('\n').slice(1, text.tokenizer.vocab_size - 513).filter(Boolean);
  const files = {
    'config.json': { model_type: 'clip', projection_dim: dim },
    'preprocessor_config.json': {
      feature_extractor_type: 'CLIPFeatureExtractor',
      ...{ do_resize: true, size: image.size, resample: 3, do_center_crop: true, crop_size: image.size },
      ...{ do_normalize: true, image_mean: image.mean, image_std: image.std },
    },
    'tokenizer.json': tokenizer(manifest, merges),
    'tokenizer_config.json': { tokenizer_class: 'CLIPTokenizer', model_max_length: text.context_length, pad_token: '<|pad|>', bos_token: '<|startoftext|>', eos_token: '<|endoftext|>' },
  };
  for (const [name, json] of Object.entries(files)) answers[`/peer-models/photorecall-s/${name}`] = JSON.stringify(json);
  const graphs = { 'vision_model_quantized.onnx': image.file, 'text_model_quantized.onnx': text.file };
  for (const [name, file] of Object.entries(graphs)) answers[`/peer-models/photorecall-s/onnx/${name}`] = () => readFileSync(join(model, file));
  return answers;
}
