// Threads of a block as fibers: each runs until it ends or waits for others. Blocks run one after another.
#pragma once

#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;

struct uint3 {
    u32 x, y, z;
};
struct dim3 {
    u32 x, y, z;
};

// One launch at a time runs in this library: the driver sees to it.
static uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;

// The driver's `HostLaunch`, field by field.
struct HostLaunch {
    const void* args;
    u64 args_bytes;
    u32 grid[3];
    u32 block;
    u32 shared;
    u32 reserved;
    u64 seed;
    const char* name;
    char message[512];
};

// Saves the callee's registers on the stack, its top in `*from`, and goes on with the stack `to`.
extern "C" __attribute__((visibility("hidden"))) void host_switch(void** from, void* to);
#if defined(__x86_64__)
asm(R"(
    .text
    .hidden host_switch
    .globl host_switch
    .type host_switch, @function
host_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size host_switch, .-host_switch
)");
#elif defined(__aarch64__)
asm(R"(
    .text
    .hidden host_switch
    .globl host_switch
    .type host_switch, %function
host_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x2, sp
    str x2, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .size host_switch, .-host_switch
)");
#else
#error "fibers of the host check know x86-64 and aarch64"
#endif

namespace host {

const u32 LANES = 32;
const u32 MAX_THREADS = 1024;
const size_t STACK_BYTES = 256 << 10;
const size_t STACK_GUARD = 128 << 10;
const size_t PAGE = 4096;
const size_t MAX_SHARED = 256 << 10;

enum class Collective : u8 { Sync, Shuffle, Ballot, Match };

struct Site {
    const char* file;
    int line;
};

struct Thread {
    void* top;      // of its stack, while it waits
    char* stack;    // null: not started, or ended
    u64 value, result;
    u32 mask, source;
    Collective kind;
    bool met_barrier;
    Site site;
};

struct Warp {
    u32 live;     // lanes that have not ended
    u32 ready;    // lanes that can go on
    u32 waiting;  // lanes in a warp operation
    u32 barrier;  // lanes in a barrier
};

struct State {
    Thread threads[MAX_THREADS];
    Warp warps[MAX_THREADS / LANES];
    u32 current;
    u32 warp_count;
    u32 left_after_barrier;  // threads that ended after a barrier, in this block
    u32 arrived_predicates;  // of the barrier: threads whose predicate was true
    u32 barrier_result;
    bool running, failed;
    void* scheduler;
    void (*body)(const void*);
    const void* args;
    HostLaunch* launch;
    u64 random;
    char* dynamic_end;
    std::vector<char*> stacks;
};

static State* state = nullptr;

static inline u64 next_random() {
    u64 z = (state->random += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static inline u32 below(u32 n) { return (u32)(((next_random() >> 32) * n) >> 32); }

// Notes why the launch has failed. The first reason stays.
static void explain(const char* format, va_list values, bool in_thread) {
    if (state->failed) return;
    state->failed = true;
    char* to = state->launch->message;
    size_t size = sizeof(state->launch->message);
    int n = snprintf(to, size, "kernel %s, block (%u, %u, %u)", state->launch->name, blockIdx.x, blockIdx.y, blockIdx.z);
    if (in_thread) n += snprintf(to + n, size - n, ", thread %u", state->current);
    n += snprintf(to + n, size - n, ": ");
    vsnprintf(to + n, size - n, format, values);
}

__attribute__((format(printf, 1, 2))) static void report(const char* format, ...) {
    va_list values;
    va_start(values, format);
    explain(format, values, false);
    va_end(values);
}

// Ends the launch from within a thread of it; its other threads are dropped where they stand.
__attribute__((format(printf, 1, 2), noreturn, noinline)) static void fail(const char* format, ...) {
    va_list values;
    va_start(values, format);
    explain(format, values, true);
    va_end(values);
    host_switch(&state->threads[state->current].top, state->scheduler);
    abort();
}

static inline void yield() { host_switch(&state->threads[state->current].top, state->scheduler); }

// Gives each lane of a warp operation its result. All lanes of `mask` that live have arrived.
static void complete(u32 warp, u32 mask) {
    Warp& w = state->warps[warp];
    Thread* lanes = state->threads + warp * LANES;
    u32 taking_part = mask & w.live;
    const Thread& first = lanes[__builtin_ctz(taking_part)];
    u32 ballot = 0;
    for (u32 rest = taking_part; rest != 0; rest &= rest - 1) {
        u32 i = __builtin_ctz(rest);
        if (lanes[i].mask != mask || lanes[i].kind != first.kind) {
            return report(
                "lanes of a warp wait for different operations or with different masks, at %s:%d with %08x and at %s:%d with %08x",
                first.site.file, first.site.line, first.mask, lanes[i].site.file, lanes[i].site.line, lanes[i].mask);
        }
        ballot |= (lanes[i].value != 0 ? 1u : 0u) << i;
    }
    for (u32 rest = taking_part; rest != 0; rest &= rest - 1) {
        Thread& t = lanes[__builtin_ctz(rest)];
        if (t.kind == Collective::Shuffle) {
            if (!(taking_part >> t.source & 1)) {
                return report("a shuffle at %s:%d reads lane %u, which takes no part", t.site.file, t.site.line, t.source);
            }
            t.result = lanes[t.source].value;
        } else if (t.kind == Collective::Ballot) {
            t.result = ballot;
        } else if (t.kind == Collective::Match) {
            t.result = 0;
            for (u32 other = taking_part; other != 0; other &= other - 1) {
                u32 i = __builtin_ctz(other);
                t.result |= (u64)(lanes[i].value == t.value) << i;
            }
        }
    }
    w.waiting &= ~taking_part;
    w.ready |= taking_part;
}

static inline u64 collective(Collective kind, u32 mask, u64 value, u32 source, const char* file, int line) {
    u32 warp = state->current / LANES, lane = state->current % LANES;
    Warp& w = state->warps[warp];
    Thread& t = state->threads[state->current];
    if (!(mask >> lane & 1)) fail("%s:%d: the mask %08x lacks the lane that calls, %u", file, line, mask, lane);
    t.kind = kind, t.mask = mask, t.value = value, t.source = source, t.site = {file, line};
    w.waiting |= 1u << lane;
    w.ready &= ~(1u << lane);
    if ((mask & w.live & ~w.waiting) == 0) {
        complete(warp, mask);
        if (state->failed) yield();
    } else {
        yield();
    }
    return t.result;
}

// Waits for all threads of the block; how many of them had a true predicate.
static inline u32 barrier(bool predicate, const char* file, int line) {
    Warp& w = state->warps[state->current / LANES];
    Thread& t = state->threads[state->current];
    u32 bit = 1u << (state->current % LANES);
    t.site = {file, line};
    t.met_barrier = true;
    state->arrived_predicates += predicate;
    w.barrier |= bit;
    w.ready &= ~bit;
    yield();
    return state->barrier_result;
}

static void describe_waiting() {
    const Thread *at_barrier = nullptr, *in_warp = nullptr;
    u32 at_barriers = 0, in_warps = 0;
    for (u32 i = 0; i < state->warp_count * LANES; ++i) {
        const Warp& w = state->warps[i / LANES];
        if (w.barrier >> (i % LANES) & 1) at_barrier = &state->threads[i], ++at_barriers;
        if (w.waiting >> (i % LANES) & 1) in_warp = &state->threads[i], ++in_warps;
    }
    if (at_barrier != nullptr) {
        report("%u threads wait at the barrier at %s:%d, which not all others reach: %u wait in a warp operation at %s:%d with the mask %08x",
               at_barriers, at_barrier->site.file, at_barrier->site.line, in_warps, in_warp->site.file, in_warp->site.line,
               in_warp->mask);
    } else {
        report("%u threads wait in a warp operation at %s:%d with the mask %08x, which not all lanes of it reach", in_warps,
               in_warp->site.file, in_warp->site.line, in_warp->mask);
    }
}

// Lets the threads go on that wait at a barrier, if all live ones do.
static void release_barrier() {
    const Thread* first = nullptr;
    for (u32 i = 0; i < state->warp_count; ++i) {
        Warp& w = state->warps[i];
        if (w.barrier != w.live) return describe_waiting();
        for (u32 rest = w.barrier; rest != 0; rest &= rest - 1) {
            const Thread& t = state->threads[i * LANES + __builtin_ctz(rest)];
            if (first == nullptr) first = &t;
            if (t.site.line != first->site.line || strcmp(t.site.file, first->site.file) != 0) {
                return report("threads of a block wait at different barriers, %s:%d and %s:%d", first->site.file,
                              first->site.line, t.site.file, t.site.line);
            }
        }
    }
    if (state->left_after_barrier != 0) {
        return report("threads wait at the barrier at %s:%d, but %u have ended that were at an earlier one",
                      first->site.file, first->site.line, state->left_after_barrier);
    }
    state->barrier_result = state->arrived_predicates;
    state->arrived_predicates = 0;
    for (u32 i = 0; i < state->warp_count; ++i) {
        state->warps[i].ready = state->warps[i].barrier;
        state->warps[i].barrier = 0;
    }
}

// Where each fiber begins.
__attribute__((noreturn)) static void enter() {
    state->body(state->args);
    Thread& t = state->threads[state->current];
    u32 bit = 1u << (state->current % LANES);
    Warp& w = state->warps[state->current / LANES];
    w.live &= ~bit;
    w.ready &= ~bit;
    state->left_after_barrier += t.met_barrier;
    yield();
    abort();
}

static char* new_stack() {
    void* at = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED || mprotect(at, STACK_GUARD, PROT_NONE) != 0) {
        fprintf(stderr, "the host check has no memory for the stack of a thread\n");
        abort();
    }
    return (char*)at;
}

static void start(Thread& t) {
    if (state->stacks.empty()) state->stacks.push_back(new_stack());
    t.stack = state->stacks.back();
    state->stacks.pop_back();
    void** top = (void**)(t.stack + STACK_BYTES);
#if defined(__x86_64__)
    *--top = nullptr;
    *--top = (void*)enter;
    for (int i = 0; i < 6; ++i) *--top = nullptr;
#else
    top -= 20;
    memset(top, 0, 160);
    top[11] = (void*)enter;
#endif
    t.top = top;
}

static void recycle(Thread& t) {
    state->stacks.push_back(t.stack);
    t.stack = nullptr;
}

// Runs the lanes of a warp until none can go on.
static void run_warp(u32 warp, u32 rotation, bool backwards) {
    Warp& w = state->warps[warp];
    while (w.ready != 0 && !state->failed) {
        u32 turned = w.ready >> rotation | w.ready << ((LANES - rotation) % LANES);
        u32 lane = ((backwards ? 31 - __builtin_clz(turned) : __builtin_ctz(turned)) + rotation) % LANES;
        u32 live = w.live;
        Thread& t = state->threads[warp * LANES + lane];
        state->current = threadIdx.x = warp * LANES + lane;
        if (t.stack == nullptr) start(t);
        state->running = true;
        host_switch(&state->scheduler, t.top);
        state->running = false;
        if (state->failed || live == w.live) continue;
        recycle(t);
        for (u32 rest = w.waiting; rest != 0 && !state->failed; rest &= rest - 1) {
            u32 mask = state->threads[warp * LANES + __builtin_ctz(rest)].mask;
            if ((w.waiting & mask) != 0 && (mask & w.live & ~w.waiting) == 0) {
                complete(warp, mask);
                break;
            }
        }
    }
}

static bool is_finished() {
    for (u32 i = 0; i < state->warp_count; ++i) {
        if (state->warps[i].live != 0) return false;
    }
    return true;
}

static void run_block(u32 threads) {
    u32 order[MAX_THREADS / LANES];
    state->warp_count = (threads + LANES - 1) / LANES;
    state->left_after_barrier = state->arrived_predicates = 0;
    for (u32 i = 0; i < state->warp_count; ++i) {
        u32 lanes = threads - i * LANES;
        u32 live = lanes >= LANES ? 0xffffffffu : (1u << lanes) - 1;
        state->warps[i] = {live, live, 0, 0};
        order[i] = i;
        u32 other = below(i + 1);
        order[i] = order[other], order[other] = i;
    }
    for (u32 i = 0; i < threads; ++i) state->threads[i].met_barrier = false;
    while (true) {
        u32 rotation = below(LANES);
        bool backwards = below(2) == 1;
        for (u32 i = 0; i < state->warp_count && !state->failed; ++i) run_warp(order[i], rotation, backwards);
        if (state->failed || is_finished()) break;
        release_barrier();
        if (state->failed) break;
    }
    if (!state->failed) return;
    for (u32 i = 0; i < threads; ++i) {
        if (state->threads[i].stack != nullptr) recycle(state->threads[i]);
    }
}

}  // namespace host
