// A checkpoint that loads, as small as the network allows: the nano checkpoint of tests/golden with
// one layer a part, one embodiment, four action steps and a tokenizer of bytes. Its files are JSON
// documents that a fuzz target may change; the bytes of the weights stay as they are.
#pragma once

#include "io/json.h"
#include "memory_file.h"

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace sinew::test {

class MicroCheckpoint {
 public:
  MicroCheckpoint();

  // The folder of config.json; the vision-language model's folder is beside it.
  std::filesystem::path path() const { return folder_.path() / "checkpoint"; }

  struct Document {
    std::string name;  // below the common folder
    io::Json json;     // a weight file's header for .safetensors
  };

  // Every JSON document of the checkpoint as it loads; config.json is the first.
  const std::vector<Document>& documents() const { return documents_; }

  // Puts another document into the place of the one with this index.
  void replace(size_t index, const io::Json& json);

  // Makes every replaced document what it was.
  void restore();

 private:
  void add(const std::string& name, io::Json json);
  void add_weights();
  void write(size_t index, const std::string& text);

  MemoryFolder folder_;
  std::vector<Document> documents_;
  std::vector<std::string> texts_;  // of documents_
  std::vector<size_t> replaced_;
};

}  // namespace sinew::test
