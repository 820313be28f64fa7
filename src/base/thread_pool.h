// The one pool of threads of a process's inference: the caller and `threads() - 1` workers share
// the items of a job. Built for machines whose cores are shared with other programs: items are
// claimed one at a time, so a thread that the system took off its core delays only the item in its
// hands, and a worker that has not woken up yet is not waited for.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace sinew {

class ThreadPool {
 public:
  // Starts `threads` - 1 workers; 1 means that every job runs on the caller. Precondition: 1 to
  // kMaxThreads.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  static constexpr int kMaxThreads = 1024;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(item, thread) for every 0 <= item < items, each once, on whichever threads are free;
  // `thread` is below threads() and no two calls with the same one overlap. Returns when all are
  // done. Allocates nothing and takes no lock. Not reentrant, and for one calling thread at a time.
  // `body` must not throw. Precondition: items < kMaxItems.
  template <class Body>
  void run(int64_t items, const Body& body) {
    if (items <= 0) {
      return;
    }
    if (items == 1 || workers_.empty()) {
      for (int64_t item = 0; item < items; ++item) {
        body(item, 0);
      }
      return;
    }
    run_job(items, &body, [](const void* context, int64_t item, int thread) {
      (*static_cast<const Body*>(context))(item, thread);
    });
  }

  static constexpr int64_t kMaxItems = int64_t{1} << 24;

 private:
  using Call = void (*)(const void* context, int64_t item, int thread);

  void run_job(int64_t items, const void* context, Call call);
  void work(int thread);
  void run_items(uint64_t job, int thread);

  // The state of the job in one word, so that a claim is valid for exactly the job it was made for:
  // job number (16 bits), items (24), next item (24).
  std::atomic<uint64_t> ticket_{0};
  std::atomic<int64_t> finished_{0};  // items of the job that are done
  std::atomic<uint32_t> wake_{0};     // changes with every job; what idle workers sleep on
  std::atomic<int32_t> sleepers_{0};
  std::atomic<bool> stop_{false};
  const void* context_ = nullptr;  // of the job; written before ticket_ names it
  Call call_ = nullptr;
  std::vector<std::thread> workers_;
};

}  // namespace sinew
