// Every item of every job runs exactly once, whatever the threads do meanwhile.
#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

namespace sinew {
namespace {

constexpr std::array kThreadCounts = {1, 2, 3, 4, 16};

// What one job did: how often each item ran, and whether its threads were used as promised.
class Witness {
 public:
  Witness(int64_t items, int threads)
      : runs_(static_cast<size_t>(items)), is_busy_(static_cast<size_t>(threads)) {}

  void run_on(ThreadPool& pool) {
    pool.run(static_cast<int64_t>(runs_.size()),
             [this](int64_t item, int thread) { see(item, thread); });
  }

  void expect_exactly_once() const {
    for (size_t item = 0; item < runs_.size(); ++item) {
      ASSERT_EQ(runs_[item].load(), 1) << "item " << item << " of " << runs_.size();
    }
    EXPECT_FALSE(has_bad_thread_) << "a thread number beyond threads()";
    EXPECT_FALSE(has_shared_thread_) << "two calls at once with one thread number";
  }

 private:
  void see(int64_t item, int thread) {
    if (thread < 0 || thread >= static_cast<int>(is_busy_.size())) {
      has_bad_thread_ = true;
      return;
    }
    std::atomic<bool>& is_busy = is_busy_[static_cast<size_t>(thread)];
    if (is_busy.exchange(true)) {
      has_shared_thread_ = true;
    }
    ++runs_[static_cast<size_t>(item)];
    is_busy = false;
  }

  std::vector<std::atomic<int>> runs_;
  std::vector<std::atomic<bool>> is_busy_;
  std::atomic<bool> has_bad_thread_{false};
  std::atomic<bool> has_shared_thread_{false};
};

TEST(ThreadPool, RunsEveryItemOnceForAnyNumberOfItemsAndThreads) {
  for (const int threads : kThreadCounts) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const int64_t items : {0, 1, 2, 3, 7, 16, 17, 255, 1000, 20000}) {
      for (int repeat = 0; repeat < 5; ++repeat) {
        Witness witness(items, threads);
        witness.run_on(pool);
        ASSERT_NO_FATAL_FAILURE(witness.expect_exactly_once()) << threads << " threads";
      }
    }
  }
}

// The caller of run() sees what the items wrote, and items see what the caller wrote before.
TEST(ThreadPool, PublishesPlainMemoryBothWays) {
  ThreadPool pool(4);
  std::vector<int64_t> values(97);
  for (int64_t job = 0; job < 3000; ++job) {
    pool.run(static_cast<int64_t>(values.size()),
             [&](int64_t item, int) { values[static_cast<size_t>(item)] += job + item; });
    for (size_t i = 0; i < values.size(); ++i) {
      const auto item = static_cast<int64_t>(i);
      ASSERT_EQ(values[i], (job + 1) * item + job * (job + 1) / 2) << "job " << job;
    }
  }
}

// More jobs than the pool's job numbers (16 bits), so that these come round again.
TEST(ThreadPool, RunsAHundredThousandTinyJobsBackToBack) {
  for (const int threads : {2, 4}) {
    ThreadPool pool(threads);
    std::array<std::atomic<int64_t>, 5> runs{};
    int64_t expected = 0;
    for (int64_t job = 0; job < 100'000; ++job) {
      const int64_t items = 2 + job % 4;
      pool.run(items, [&](int64_t item, int) {
        runs[static_cast<size_t>(item)].fetch_add(1, std::memory_order_relaxed);
      });
      expected += items;
      int64_t total = 0;
      for (const auto& count : runs) {
        total += count.load(std::memory_order_relaxed);
      }
      ASSERT_EQ(total, expected) << "after job " << job << " on " << threads << " threads";
    }
    EXPECT_EQ(runs[0], 100'000);
    EXPECT_EQ(runs[4], 25'000);
  }
}

// Workers spin for 100 us before they sleep: pauses around that, and far beyond it.
TEST(ThreadPool, WakesWorkersAfterAnyPause) {
  ThreadPool pool(3);
  for (const int pause_us : {0, 20, 80, 100, 120, 150, 300, 2000, 20000}) {
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
      Witness witness(8, 3);
      witness.run_on(pool);
      ASSERT_NO_FATAL_FAILURE(witness.expect_exactly_once()) << "after " << pause_us << " us";
    }
  }
}

// Two items that wait for each other: only two threads at once can finish them. The caller's is
// done first and has to wait for the worker's.
TEST(ThreadPool, ItemsRunAtTheSameTimeAndAreWaitedFor) {
  ThreadPool pool(2);
  for (int repeat = 0; repeat < 20; ++repeat) {
    if (repeat % 2 == 1) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the worker is asleep
    }
    std::atomic<int> arrived{0};
    std::atomic<int> finished{0};
    pool.run(2, [&](int64_t, int thread) {
      ++arrived;
      while (arrived < 2) {
        std::this_thread::yield();
      }
      if (thread != 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      ++finished;
    });
    ASSERT_EQ(finished, 2);
  }
}

// A worker that is held up in its item delays no other item.
TEST(ThreadPool, AStalledThreadHoldsUpItsOwnItemAlone) {
  ThreadPool pool(2);
  constexpr int64_t kItems = 64;
  std::atomic<int64_t> finished{0};
  pool.run(kItems, [&](int64_t item, int) {
    if (item == 0) {
      while (finished < kItems - 1) {
        std::this_thread::yield();
      }
    }
    ++finished;
  });
  EXPECT_EQ(finished, kItems);
}

TEST(ThreadPool, OneThreadIsTheCaller) {
  ThreadPool pool(1);
  std::vector<int64_t> order;
  pool.run(5, [&](int64_t item, int thread) {
    EXPECT_EQ(thread, 0);
    order.push_back(item);
  });
  EXPECT_EQ(order, (std::vector<int64_t>{0, 1, 2, 3, 4}));
}

TEST(ThreadPool, EndsWhileItsWorkersSpinOrSleep) {
  for (int repeat = 0; repeat < 30; ++repeat) {
    for (const int threads : kThreadCounts) {
      auto pool = std::make_unique<ThreadPool>(threads);
      if (repeat % 3 > 0) {
        Witness witness(int64_t{3} * threads, threads);
        witness.run_on(*pool);
        witness.expect_exactly_once();
      }
      if (repeat % 3 == 2) {
        std::this_thread::sleep_for(std::chrono::microseconds(400));
      }
      pool.reset();
    }
  }
}

TEST(ThreadPoolDeathTest, RefusesNumbersOfThreadsThatItCannotHave) {
  EXPECT_DEATH(ThreadPool(0), "check failed");
  EXPECT_DEATH(ThreadPool(ThreadPool::kMaxThreads + 1), "check failed");
}

}  // namespace
}  // namespace sinew
