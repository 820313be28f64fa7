// Runs a fuzz target without libFuzzer: every file of a seed folder, then a number of mutations of
// them. Mutation i depends on i and the seeds alone, so a failure comes again. The input being run
// lies in <program>.input, which stays behind after a crash.
//
//   fuzz_json_replay SEED_FOLDER [MUTATIONS]

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kDefaultMutations = 2000;
constexpr size_t kMaxEdits = 4;

std::vector<std::string> read_seeds(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> seeds;
  for (const std::filesystem::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return seeds;
}

class Mutator {
 public:
  Mutator(const std::vector<std::string>& seeds, uint64_t number)
      : seeds_(seeds), random_(number) {}

  std::string run() {
    std::string input = any_seed();
    const size_t edits = 1 + below(kMaxEdits);
    for (size_t i = 0; i < edits; ++i) {
      edit(input);
    }
    return input;
  }

 private:
  // Not a standard distribution: their results differ between libraries.
  size_t below(size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  const std::string& any_seed() { return seeds_[below(seeds_.size())]; }

  void edit(std::string& input) {
    static constexpr uint64_t kEdges[] = {0,          1,          0x7f,       0xff, 0x7fffffff,
                                          0xffffffff, 1ULL << 32, ~0ULL >> 1, ~0ULL};
    const size_t at = below(input.size());
    const size_t length = below(std::min<size_t>(input.size() - at, 64) + 1);
    switch (below(7)) {
      case 0:  // flip a bit
        if (!input.empty()) {
          input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
        }
        break;
      case 1:  // another byte
        if (!input.empty()) {
          input[at] = static_cast<char>(random_());
        }
        break;
      case 2:
        input.resize(at);
        break;
      case 3:
        input.erase(at, length);
        break;
      case 4:  // repeat a stretch
        input.insert(at, input.substr(at, length));
        break;
      case 5: {  // a number at the edge of its type, little-endian
        uint64_t value = kEdges[below(std::size(kEdges))];
        for (size_t i = 0, n = size_t{1} << below(4); i < n && at + i < input.size(); ++i) {
          input[at + i] = static_cast<char>(value);
          value >>= 8U;
        }
        break;
      }
      default: {  // the start of this and the end of another seed
        const std::string& other = any_seed();
        input = input.substr(0, at) + other.substr(below(other.size()));
        break;
      }
    }
  }

  const std::vector<std::string>& seeds_;
  std::mt19937_64 random_;
};

// The file that names the culprit after a crash; one for the whole run, as creating files is slow.
class Record {
 public:
  explicit Record(std::string path)
      : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0666)) {}

  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;

  ~Record() {
    ::close(fd_);
    ::unlink(path_.c_str());
  }

  bool write(const std::string& input) const {
    return ::ftruncate(fd_, 0) == 0 &&
           ::pwrite(fd_, input.data(), input.size(), 0) == static_cast<ssize_t>(input.size());
  }

 private:
  std::string path_;
  int fd_;
};

void run(const std::string& input, const Record& record) {
  if (!record.write(input)) {
    std::perror("cannot record the input");
    std::exit(1);  // NOLINT(concurrency-mt-unsafe): one thread
  }
  // A copy of exact size on the heap, so that a sanitizer sees reads beyond the end.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s SEED_FOLDER [MUTATIONS]\n", argv[0]);
    return 2;
  }
  const std::vector<std::string> seeds = read_seeds(argv[1]);
  if (seeds.empty()) {
    std::fprintf(stderr, "%s: no seeds\n", argv[1]);
    return 1;
  }
  const size_t mutations = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : kDefaultMutations;
  const Record record(std::string(argv[0]) + ".input");
  for (const std::string& seed : seeds) {
    run(seed, record);
  }
  for (size_t i = 0; i < mutations; ++i) {
    run(Mutator(seeds, i).run(), record);
  }
  std::printf("%zu seeds and %zu mutations\n", seeds.size(), mutations);
  return 0;
}
