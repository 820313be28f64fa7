// Results of once-steps (time embeddings, modulations, tables) of all plans of a session. Equal
// computations are known by their ops and sources, so that a plan that is bound anew, or one for
// another prompt, finds what is there and runs only what is not.
#pragma once

#include "engine/cuda/memory.h"
#include "engine/weight_source.h"
#include "ops/plan.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace sinew::cuda {

class OnceStore {
 public:
  // The once-values of one plan. What some user uses stays; what none does is forgotten.
  class User {
   public:
    User() = default;
    User(User&& other) noexcept;
    User& operator=(User&& other) noexcept;
    ~User();

    // Bytes of values that have no memory yet.
    size_t missing_bytes() const { return missing_bytes_; }

    // Whether a call of once-steps has a result that was not there when the plan was looked up.
    bool is_missing(const ops::Plan& plan, const ops::Call& call) const;

    // Where a once-value that owns memory lies; an aligned placeholder before allocate().
    std::byte* address(ops::Value root) const;

    // Gives the missing values memory, whose contents are the caller's to compute.
    Status allocate();

   private:
    friend class OnceStore;
    void release();

    OnceStore* store_ = nullptr;
    std::vector<int64_t> entry_of_;  // by value; -1: not a once-value
    std::vector<int64_t> missing_;   // entries, in the order of their offsets
    size_t missing_bytes_ = 0;
  };

  // Looks the once-values of a plan up. The store must outlive the user.
  User use(const ops::Plan& plan, const engine::WeightSource& weights);

  // Held.
  size_t bytes() const { return bytes_; }

 private:
  // What a step computes: equal for equal numbers. Sources are entries, or parameters by address.
  struct Computation {
    ops::OpKind op = ops::OpKind::kAdd;
    ops::Attributes attributes;
    DType product_dtype = DType::kF32;
    std::vector<int64_t> sources;  // pairs: entry or address, then offset; -1 for an absent one
    int64_t result = 0;            // which of the step's results
    DType dtype = DType::kF32;
    Shape shape;

    friend bool operator==(const Computation&, const Computation&) = default;
  };

  struct Entry {
    Computation computation;
    std::byte* address = nullptr;
    size_t offset = 0;  // in the chunk, while it has no memory
    size_t bytes = 0;
    int64_t chunk = -1;
    int users = 0;
  };

  struct Chunk {
    DeviceBuffer memory;
    int64_t entries = 0;  // alive
  };

  static size_t hash(const Computation& computation);
  int64_t find(const Computation& computation) const;
  Computation computation_of(const ops::Plan& plan, const ops::Step& step, size_t result,
                             const engine::WeightSource& weights, const User& user) const;

  std::unordered_map<int64_t, Entry> entries_;
  std::unordered_multimap<size_t, int64_t> by_hash_;
  std::unordered_map<int64_t, Chunk> chunks_;
  int64_t next_ = 0;
  size_t bytes_ = 0;
};

}  // namespace sinew::cuda
