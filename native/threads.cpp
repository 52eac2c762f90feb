#include "threads.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "environment.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define RECTIFIED_FORKS 1
#endif
#if defined(__linux__)
#include <sched.h>
#endif

namespace rectified {
namespace {

using body_t = void (*)(void *, std::ptrdiff_t, std::ptrdiff_t);

constexpr int parts_per_thread = 4;  // so that one who starts late or runs slow holds nobody up
constexpr int units_per_grain = 64;

// Falling asleep and being woken takes a thread some 50 us. For less than that it looks whether it needs to.
constexpr std::chrono::microseconds patience{20};

template <class Condition>
void look_for(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition() && std::chrono::steady_clock::now() < end) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

// What is left of a thread's share of a job.
struct alignas(64) share {
    std::atomic<std::ptrdiff_t> next{0};
    std::ptrdiff_t end = 0;
};

// Workers sleep between jobs. One job runs at a time; a caller that finds the pool busy does its job alone.
class pool {
  public:
    bool try_run(std::ptrdiff_t count, std::ptrdiff_t grain, int threads, body_t body, void *context) {
        std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
        if (!turn) return false;
        if (!grow(threads - 1)) return false;
        keep_off_caller();
        const std::ptrdiff_t unit = std::max<std::ptrdiff_t>(grain / units_per_grain, 1);
        {
            std::lock_guard<std::mutex> hold(state_);
            body_ = body, context_ = context;
            part_ = (count / (unit * threads * parts_per_thread) + 1) * unit;
            shares_in_use_ = threads;
            for (int k = 0; k < threads; ++k) {
                shares_[k].next.store(std::min(k * parts_per_thread * part_, count), std::memory_order_relaxed);
                shares_[k].end = std::min((k + 1) * parts_per_thread * part_, count);
            }
            open_ = threads - 1;
            running_ = 0;
        }
        wake_.notify_all();
        work(0);
        std::unique_lock<std::mutex> hold(state_);
        open_ = 0;  // a worker that has not woken by now need not
        if (running_ == 0) return true;
        hold.unlock();
        look_for([this] { return running_ == 0; });
        hold.lock();
        done_.wait(hold, [this] { return running_ == 0; });
        return true;
    }

    void stop() {
        std::lock_guard<std::mutex> turn(turn_);
        {
            std::lock_guard<std::mutex> hold(state_);
            ending_ = true;
        }
        wake_.notify_all();
        for (std::thread &worker : workers_) worker.join();
        workers_.clear();
        kept_ = 0;
        ending_ = false;
    }

  private:
    bool grow(int size) {
        try {
            if (static_cast<int>(shares_.size()) <= size) shares_ = std::vector<share>(size + 1);
            while (static_cast<int>(workers_.size()) < size)
                workers_.emplace_back([this, number = static_cast<int>(workers_.size()) + 1] { serve(number); });
        } catch (const std::system_error &) {
            return !workers_.empty();  // the system gives no more threads: those that are there do it
        }
        return true;
    }

    // Linux may wake a thread on the processor of the one that wakes it, where it waits until that has done all the work.
    void keep_off_caller() {
#if defined(__linux__)
        const int here = sched_getcpu();
        if (here == kept_off_ && workers_.size() == kept_) return;
        cpu_set_t allowed;
        if (here < 0 || sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
        if (CPU_COUNT(&allowed) > 1) processors_ = allowed;  // a caller that is bound to one does not bind them, too
        allowed = processors_;
        CPU_CLR(here, &allowed);
        if (CPU_COUNT(&allowed) == 0) return;
        for (std::thread &worker : workers_) pthread_setaffinity_np(worker.native_handle(), sizeof(allowed), &allowed);
        kept_off_ = here;
        kept_ = workers_.size();
#endif
    }

    // A thread does its own share first: what it computed last time may still be in its caches. Then it helps the others.
    void work(int number) {
        for (int k = 0; k < shares_in_use_; ++k) {
            share &some = shares_[(number + k) % shares_in_use_];
            for (;;) {
                const std::ptrdiff_t begin = some.next.fetch_add(part_, std::memory_order_relaxed);
                if (begin >= some.end) break;
                body_(context_, begin, std::min(begin + part_, some.end));
            }
        }
    }

    void serve(int number) {
        const default_environment environment;
        std::unique_lock<std::mutex> hold(state_);
        for (;;) {
            const auto is_wanted = [this] { return ending_ || open_ > 0; };
            hold.unlock();
            look_for(is_wanted);
            hold.lock();
            wake_.wait(hold, is_wanted);
            if (ending_) return;
            --open_;
            ++running_;
            hold.unlock();
            work(number);
            hold.lock();
            if (--running_ == 0) done_.notify_one();
        }
    }

    std::mutex turn_, state_;
    std::condition_variable wake_, done_;
    std::vector<std::thread> workers_;
#if defined(__linux__)
    cpu_set_t processors_{};  // that callers were allowed to use
#endif
    int kept_off_ = -1;  // the processor, and how many workers are
    std::size_t kept_ = 0;
    std::atomic<bool> ending_ = false;
    std::atomic<int> open_ = 0, running_ = 0;  // written by who holds the lock
    body_t body_ = nullptr;
    void *context_ = nullptr;
    std::ptrdiff_t part_ = 0;
    std::vector<share> shares_;  // of the caller, and of each worker
    int shares_in_use_ = 0;
};

// Never destroyed, so that no thread can outlive it. A forked child has none of the threads, whose locks may be held:
// it leaves its parent's pool alone and begins with one of its own.
std::atomic<pool *> current{new pool};
std::atomic<int> thread_count{1};

#if defined(RECTIFIED_FORKS)
const int registered = pthread_atfork(nullptr, nullptr, [] { current.store(new pool); });
#endif

}  // namespace

void in_parallel(std::ptrdiff_t count, std::ptrdiff_t grain, body_t body, void *context) {
    const int threads = thread_count.load(std::memory_order_relaxed);
    const std::ptrdiff_t parts = std::min<std::ptrdiff_t>(threads, count / grain);
    if (parts < 2 || !current.load()->try_run(count, grain, static_cast<int>(parts), body, context))
        body(context, 0, count);
}

int threads() { return thread_count.load(std::memory_order_relaxed); }
void set_threads(int count) { thread_count.store(count, std::memory_order_relaxed); }
void stop_threads() { current.load()->stop(); }

}  // namespace rectified
