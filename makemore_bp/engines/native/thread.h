/* A thread of the operating system, in the few words that team.c needs: POSIX and Windows say them
 * differently. Where neither is there, or the compiler has no atomic numbers, HAS_THREADS is 0. */
#ifndef MAKEMORE_BP_THREAD_H
#define MAKEMORE_BP_THREAD_H

#if defined(__STDC_NO_ATOMICS__)
#define HAS_THREADS 0

#elif defined(_WIN32)
#define HAS_THREADS 1
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <process.h>
#include <stdint.h>

typedef HANDLE Thread;
#define THREAD_FUNCTION static unsigned __stdcall
typedef unsigned __stdcall thread_function(void *context);

static inline int thread_start(Thread *thread, thread_function *function, void *context)
{
    *thread = (HANDLE)(uintptr_t)_beginthreadex(NULL, 0, function, context, 0, NULL);
    return *thread != NULL;
}

static inline void thread_join(Thread thread)
{
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
}

/* Lets other threads have the processor. */
static inline void thread_yield(void)
{
    SwitchToThread();
}

/* Tells the processor that this thread only waits. */
static inline void thread_pause(void)
{
    YieldProcessor();
}

#elif defined(__unix__) || defined(__APPLE__)
#define HAS_THREADS 1
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>

typedef pthread_t Thread;
#define THREAD_FUNCTION static void *
typedef void *thread_function(void *context);

/* No signal is delivered to the new thread: those are for threads that Python knows. */
static inline int thread_start(Thread *thread, thread_function *function, void *context)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(thread, NULL, function, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !failed;
}

static inline void thread_join(Thread thread)
{
    pthread_join(thread, NULL);
}

static inline void thread_yield(void)
{
    sched_yield();
}

static inline void thread_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#else
#define HAS_THREADS 0
#endif

#endif
