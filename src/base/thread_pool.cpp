#include "base/thread_pool.h"

#include "base/check.h"

#include <chrono>

namespace sinew {
namespace {

// How long an idle worker looks for the next job before it sleeps. Kernels of one inference follow
// each other within some microseconds; waking a sleeper takes about 50.
constexpr auto kSpinTime = std::chrono::microseconds(100);
constexpr int kSpinsBetweenLooks = 64;  // pauses between two looks at the clock

constexpr int kItemBits = 24;
constexpr uint64_t kItemMask = (uint64_t{1} << kItemBits) - 1;

constexpr uint64_t make_ticket(uint64_t job, uint64_t items) {
  return job << (2 * kItemBits) | items << kItemBits;
}

constexpr uint64_t job_of(uint64_t ticket) {
  return ticket >> (2 * kItemBits);
}

constexpr uint64_t items_of(uint64_t ticket) {
  return (ticket >> kItemBits) & kItemMask;
}

constexpr uint64_t next_of(uint64_t ticket) {
  return ticket & kItemMask;
}

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins until `is_done` or for kSpinTime; says whether it is done.
template <class Done>
bool spin_until(const Done& is_done) {
  const auto end = std::chrono::steady_clock::now() + kSpinTime;
  do {
    for (int i = 0; i < kSpinsBetweenLooks; ++i) {
      if (is_done()) {
        return true;
      }
      pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return is_done();
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  SINEW_CHECK(threads >= 1 && threads <= kMaxThreads);
  workers_.reserve(static_cast<size_t>(threads - 1));
  for (int i = 1; i < threads; ++i) {
    workers_.emplace_back([this, i] { work(i); });
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  wake_.fetch_add(1, std::memory_order_release);
  wake_.notify_all();
  for (std::thread& worker : workers_) {
    worker.join();
  }
}

void ThreadPool::run_job(int64_t items, const void* context, Call call) {
  SINEW_CHECK(items < kMaxItems);
  context_ = context;
  call_ = call;
  finished_.store(0, std::memory_order_relaxed);
  const uint64_t job = (job_of(ticket_.load(std::memory_order_relaxed)) + 1) & 0xffff;
  ticket_.store(make_ticket(job, static_cast<uint64_t>(items)), std::memory_order_seq_cst);
  wake_.fetch_add(1, std::memory_order_seq_cst);
  // Either a worker going to sleep sees the new value of wake_, or it is counted here.
  const int64_t sleepers = sleepers_.load(std::memory_order_seq_cst);
  if (sleepers > items - 1) {
    // Waking a thread takes its waker a microsecond or more, which many cores make many.
    for (int64_t i = 1; i < items; ++i) {
      wake_.notify_one();
    }
  } else if (sleepers > 0) {
    wake_.notify_all();
  }
  run_items(job, 0);
  const auto is_finished = [&] { return finished_.load(std::memory_order_acquire) == items; };
  while (!spin_until(is_finished)) {
    std::this_thread::yield();  // the thread with the last item may be waiting for this core
  }
}

// Claims and runs items of `job` until none is left or another job has begun.
void ThreadPool::run_items(uint64_t job, int thread) {
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  while (job_of(ticket) == job && next_of(ticket) < items_of(ticket)) {
    if (ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
      // The claim holds the job open, so context_ and call_ are its own.
      call_(context_, static_cast<int64_t>(next_of(ticket)), thread);
      finished_.fetch_add(1, std::memory_order_release);
      ticket = ticket_.load(std::memory_order_acquire);
    }
  }
}

void ThreadPool::work(int thread) {
  uint32_t seen = 0;
  while (true) {
    const auto has_changed = [&] { return wake_.load(std::memory_order_acquire) != seen; };
    if (!spin_until(has_changed)) {
      sleepers_.fetch_add(1, std::memory_order_seq_cst);
      wake_.wait(seen, std::memory_order_seq_cst);
      sleepers_.fetch_sub(1, std::memory_order_relaxed);
    }
    seen = wake_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_relaxed)) {
      return;
    }
    run_items(job_of(ticket_.load(std::memory_order_acquire)), thread);
  }
}

}  // namespace sinew
