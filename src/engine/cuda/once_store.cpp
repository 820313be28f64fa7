#include "engine/cuda/once_store.h"

#include "base/check.h"
#include "engine/bind_step.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace sinew::cuda {
namespace {

constexpr size_t kAlignment = 256;
constexpr uintptr_t kPlaceholder = uintptr_t{1} << 53;

size_t aligned(size_t bytes) {
  return (std::max<size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

OnceStore::User::User(User&& other) noexcept
    : store_(std::exchange(other.store_, nullptr)),
      entry_of_(std::move(other.entry_of_)),
      missing_(std::move(other.missing_)),
      missing_bytes_(other.missing_bytes_) {}

OnceStore::User& OnceStore::User::operator=(User&& other) noexcept {
  std::swap(store_, other.store_);
  std::swap(entry_of_, other.entry_of_);
  std::swap(missing_, other.missing_);
  std::swap(missing_bytes_, other.missing_bytes_);
  return *this;
}

OnceStore::User::~User() {
  release();
}

void OnceStore::User::release() {
  if (store_ == nullptr) {
    return;
  }
  for (const int64_t id : entry_of_) {
    if (id < 0 || --store_->entries_.at(id).users > 0) {
      continue;
    }
    const Entry& entry = store_->entries_.at(id);
    if (entry.chunk >= 0 && --store_->chunks_.at(entry.chunk).entries == 0) {
      store_->bytes_ -= store_->chunks_.at(entry.chunk).memory.size_bytes();
      store_->chunks_.erase(entry.chunk);
    }
    const auto [first, last] = store_->by_hash_.equal_range(hash(entry.computation));
    store_->by_hash_.erase(
        std::find_if(first, last, [id](const auto& item) { return item.second == id; }));
    store_->entries_.erase(id);
  }
  store_ = nullptr;
}

bool OnceStore::User::is_missing(const ops::Plan& plan, const ops::Call& call) const {
  for (int32_t s = call.first_step; s < call.end_step; ++s) {
    for (const ops::Value dst : plan.steps[static_cast<size_t>(s)].dsts) {
      const int64_t id = entry_of_[static_cast<size_t>(plan.root(dst).id)];
      if (std::find(missing_.begin(), missing_.end(), id) != missing_.end()) {
        return true;
      }
    }
  }
  return false;
}

std::byte* OnceStore::User::address(ops::Value root) const {
  const int64_t id = entry_of_[static_cast<size_t>(root.id)];
  SINEW_CHECK(id >= 0);
  const Entry& entry = store_->entries_.at(id);
  return entry.address != nullptr ? entry.address
                                  : reinterpret_cast<std::byte*>(kPlaceholder + entry.offset);
}

Status OnceStore::User::allocate() {
  if (missing_.empty()) {
    return {};
  }
  SINEW_ASSIGN(DeviceBuffer memory,
               DeviceBuffer::allocate(missing_bytes_, "constants of the network"));
  const int64_t chunk = store_->next_++;
  for (const int64_t id : missing_) {
    Entry& entry = store_->entries_.at(id);
    entry.address = memory.data() + entry.offset;
    entry.chunk = chunk;
  }
  store_->bytes_ += memory.size_bytes();
  store_->chunks_.emplace(
      chunk, Chunk{.memory = std::move(memory), .entries = static_cast<int64_t>(missing_.size())});
  missing_bytes_ = 0;
  return {};
}

size_t OnceStore::hash(const Computation& computation) {
  size_t h = std::hash<int>{}(static_cast<int>(computation.op));
  const auto mix = [&](int64_t value) { h = h * 1099511628211U + std::hash<int64_t>{}(value); };
  std::for_each(computation.sources.begin(), computation.sources.end(), mix);
  mix(computation.result);
  mix(computation.shape.elements());
  return h;
}

int64_t OnceStore::find(const Computation& computation) const {
  const auto [first, last] = by_hash_.equal_range(hash(computation));
  for (auto item = first; item != last; ++item) {
    if (entries_.at(item->second).computation == computation) {
      return item->second;
    }
  }
  return -1;
}

OnceStore::Computation OnceStore::computation_of(const ops::Plan& plan, const ops::Step& step,
                                                 size_t result, const engine::WeightSource& weights,
                                                 const User& user) const {
  const ops::ValueInfo& info = plan.info(step.dsts[result]);
  Computation c{.op = step.op,
                .attributes = step.attributes,
                .product_dtype = plan.product_dtype,
                .sources = {},
                .result = static_cast<int64_t>(result),
                .dtype = info.dtype,
                .shape = info.shape};
  for (const ops::Value src : step.srcs) {
    if (!src.valid()) {
      c.sources.push_back(-1);
      continue;
    }
    const ops::Value root = plan.root(src);
    if (plan.info(root).kind == ops::ValueKind::kWeight) {
      const ConstTensorView view = engine::weight_view(plan, src, weights);
      c.sources.push_back(static_cast<int64_t>(reinterpret_cast<intptr_t>(view.data)));
      c.sources.push_back(view.shape.elements());
    } else {
      c.sources.push_back(user.entry_of_[static_cast<size_t>(root.id)]);
      c.sources.push_back(plan.info(src).alias_offset);
    }
  }
  return c;
}

OnceStore::User OnceStore::use(const ops::Plan& plan, const engine::WeightSource& weights) {
  User user;
  user.store_ = this;
  user.entry_of_.assign(plan.values.size(), -1);
  for (const ops::Call& call : plan.once_calls) {
    for (int32_t s = call.first_step; s < call.end_step; ++s) {
      const ops::Step& step = plan.steps[static_cast<size_t>(s)];
      for (size_t i = 0; i < step.dsts.size(); ++i) {
        Computation computation = computation_of(plan, step, i, weights, user);
        int64_t id = find(computation);
        if (id < 0) {
          id = next_++;
          Entry entry{.computation = std::move(computation)};
          const ops::ValueInfo& info = plan.info(step.dsts[i]);
          entry.bytes = static_cast<size_t>(info.shape.elements()) * dtype_bytes(info.dtype);
          entry.offset = user.missing_bytes_;
          user.missing_bytes_ += aligned(entry.bytes);
          user.missing_.push_back(id);
          by_hash_.emplace(hash(entry.computation), id);
          entries_.emplace(id, std::move(entry));
        }
        ++entries_.at(id).users;
        user.entry_of_[static_cast<size_t>(plan.root(step.dsts[i]).id)] = id;
      }
    }
  }
  return user;
}

}  // namespace sinew::cuda
