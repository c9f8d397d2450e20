// Threads: which one this is, and how one waits for another.
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define CACHE_LINE 64

// For what is kept apart by thread so that processors need not pass it about.
unsigned thread_number(void); // 0, 1, 2 … in the order in which threads asked first

// A condition whose waits end by clock_monotonic().
void thread_condition_init(pthread_cond_t *condition);
// With `lock` held, until the condition is signalled (or for no reason, as ever); false: until_ns
// has come. INT64_MAX: never.
bool thread_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_ns);

#endif
