// Stops the program before any single instruction that a test wants, inside malloc for one.
//
// steps_learn() runs code one instruction at a time (the processor's trap flag) and tells the address
// of each; that is slow. steps_break() puts a breakpoint on one of them, which costs nothing until
// it is reached; there a function runs inside a signal handler. It is gone then. One at a time, for
// the whole process; not from inside the function. x86-64 only: STEPS_KNOWN.
#ifndef STEPS_H
#define STEPS_H

#include <stdbool.h>

#include "stress_util.h"

#if defined(__x86_64__)
#define STEPS_KNOWN 1

#include <sys/mman.h>
#include <ucontext.h>

#define STEPS_TRAP_FLAG 0x100L
#define STEPS_BREAKPOINT 0xcc
#define STEPS_PAGE 4096

static struct {
    void (*on_step)(uintptr_t address); // NULL: not learning
    void (*on_hit)(void);
    unsigned char *volatile at; // NULL: no breakpoint
    unsigned char instead;      // of the breakpoint
    volatile long visits;       // the hit counts when it comes to 0
    volatile bool passing;      // over the instruction at the breakpoint, which is put back then
} steps;

static inline void steps_hit(ucontext_t *state) {
    greg_t *registers = state->uc_mcontext.gregs;
    registers[REG_RIP]--;
    *steps.at = steps.instead;
    if (--steps.visits > 0) {
        steps.passing = true;
        registers[REG_EFL] |= STEPS_TRAP_FLAG;
        return;
    }
    steps.at = NULL;
    steps.on_hit();
}

static inline void steps_handler(int number, siginfo_t *info, void *context) {
    ucontext_t *state = context;
    uintptr_t address = (uintptr_t)state->uc_mcontext.gregs[REG_RIP];
    int saved = errno;
    (void)number;
    (void)info;
    if (steps.passing) {
        steps.passing = false;
        state->uc_mcontext.gregs[REG_EFL] &= ~STEPS_TRAP_FLAG;
        if (steps.at != NULL) {
            *steps.at = STEPS_BREAKPOINT;
        }
    } else if (steps.at != NULL && address == (uintptr_t)steps.at + 1) {
        steps_hit(state);
    } else if (steps.on_step != NULL) {
        steps.on_step(address);
    }
    errno = saved;
}

static inline void steps_install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = steps_handler;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &action, NULL);
}

// The stack below the stack pointer is not the asm's to use: 128 bytes of it may hold locals.
static inline void steps_learn(void (*on_step)(uintptr_t address)) {
    steps.on_step = on_step;
    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orq %0, (%%rsp); popfq; lea 128(%%rsp), %%rsp"
                     :
                     : "i"(STEPS_TRAP_FLAG)
                     : "cc", "memory");
}

static inline void steps_learned(void) {
    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; andq %0, (%%rsp); popfq; lea 128(%%rsp), %%rsp"
                     :
                     : "i"(~STEPS_TRAP_FLAG)
                     : "cc", "memory");
    steps.on_step = NULL;
}

// Calls on_hit() before the instruction at the address is run for the visits-th time. False where the
// code cannot be written to. steps_unbreak() takes away one that was not reached.
static inline bool steps_break(uintptr_t address, long visits, void (*on_hit)(void)) {
    unsigned char *at = (unsigned char *)address;
    if (mprotect(at - address % STEPS_PAGE, STEPS_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) {
        return false;
    }
    steps.on_hit = on_hit;
    steps.visits = visits;
    steps.instead = *at;
    steps.at = at;
    *at = STEPS_BREAKPOINT;
    return true;
}

static inline void steps_unbreak(void) {
    unsigned char *at = steps.at;
    steps.at = NULL;
    if (at != NULL) {
        *at = steps.instead;
    }
}
#else
#define STEPS_KNOWN 0

static inline void steps_install(void) {
}
static inline void steps_learn(void (*on_step)(uintptr_t address)) {
    (void)on_step;
}
static inline void steps_learned(void) {
}
static inline bool steps_break(uintptr_t address, long visits, void (*on_hit)(void)) {
    (void)address, (void)visits, (void)on_hit;
    return false;
}
static inline void steps_unbreak(void) {
}
#endif

#endif
