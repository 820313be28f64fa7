#include "preprocess/text/text_support.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace sinew::preprocess {

namespace {

template <class T>
T value_or_abort(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.status().message().c_str());
    std::abort();
  }
  return std::move(result).value();
}

}  // namespace

io::Json read_golden(const std::string& path) {
  return value_or_abort(io::read_json_file("tests/golden/" + path));
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    std::abort();
  }
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Result<Tokenizer> load_tokenizer(const std::string& folder) {
  const std::string vocab = read_text(folder + "/vocab.json");
  const std::string merges = read_text(folder + "/merges.txt");
  const std::string added_path = folder + "/added_tokens.json";
  const bool has_added = std::filesystem::exists(added_path);
  const std::string added = has_added ? read_text(added_path) : "";
  return Tokenizer::load(
      {.vocab = vocab,
       .merges = merges,
       .added_tokens = has_added ? std::optional<std::string_view>(added) : std::nullopt,
       .where = folder});
}

Tokenizer load_nano_tokenizer() {
  return value_or_abort(load_tokenizer("tests/golden/nano/eagle"));
}

TinyFiles::TinyFiles() {
  for (int byte = 0; byte < 256; ++byte) {
    vocab[byte_symbol(static_cast<uint8_t>(byte))] = byte;
  }
  vocab["ab"] = 256;
  vocab["abc"] = 257;
  vocab["bc"] = 258;
  vocab[byte_symbol(' ') + "a"] = 259;
  vocab["aa"] = 260;
  vocab["aaaa"] = 261;
  merges = "#version: 0.2\na b\nab c\nb c\n" + byte_symbol(' ') + " a\na a\naa aa\n";
  added = io::Json{{"<|endoftext|>", 300}, {"<|im_start|>", 301}, {"<|im_end|>", 302},
                   {"<IMG_CONTEXT>", 303}, {"<img>", 304},        {"</img>", 305},
                   {"<img>x", 306}};
}

Result<Tokenizer> TinyFiles::load() const {
  const std::string vocab_text = vocab.dump();
  const std::string added_text = added.has_value() ? added->dump() : "";
  return Tokenizer::load({.vocab = vocab_text,
                          .merges = merges,
                          .added_tokens = added.has_value()
                                              ? std::optional<std::string_view>(added_text)
                                              : std::nullopt,
                          .where = "tiny"});
}

std::vector<int32_t> ids_of(const io::Json& array) {
  return array.get<std::vector<int32_t>>();
}

}  // namespace sinew::preprocess
