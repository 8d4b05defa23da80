// All blocks of a launch: their order, their shared memory, faults.
#pragma once

#include "fibers.h"

namespace host {

// Shared arrays are the only thread-local variables of this library: this one makes sure that there is one.
static thread_local volatile char shared_anchor;

struct Range {
    char* begin;
    size_t bytes;
};

// The thread-local memory of this library in this thread: all static shared arrays.
static Range static_shared() {
    shared_anchor = 0;
    Range range = {nullptr, 0};
    auto find = [](dl_phdr_info* info, size_t, void* to) {
        Range* range = (Range*)to;
        for (int i = 0; i < info->dlpi_phnum; ++i) {
            if (info->dlpi_phdr[i].p_type != PT_TLS || info->dlpi_tls_data == nullptr) continue;
            char* begin = (char*)info->dlpi_tls_data;
            size_t bytes = info->dlpi_phdr[i].p_memsz;
            if (begin <= (char*)&shared_anchor && (char*)&shared_anchor < begin + bytes) *range = {begin, bytes};
        }
        return range->begin != nullptr ? 1 : 0;
    };
    dl_iterate_phdr(find, &range);
    return range;
}

static float* dynamic_shared() {
    return (float*)(state->dynamic_end - (state->launch->shared + 15) / 16 * 16);
}

// Unwritten memory is full of ones: NaN as a float, far out of bounds as an index.
const int UNWRITTEN = 0xff;
const int GUARD = 0xa5;

static void fill_dynamic() {
    u32 bytes = state->launch->shared, rounded = (bytes + 15) / 16 * 16;
    memset(state->dynamic_end - rounded, UNWRITTEN, bytes);
    memset(state->dynamic_end - rounded + bytes, GUARD, rounded - bytes);
    memset(state->dynamic_end - rounded - 64, GUARD, 64);
}

static void check_dynamic() {
    u32 bytes = state->launch->shared, rounded = (bytes + 15) / 16 * 16;
    const u8* begin = (const u8*)state->dynamic_end - rounded;
    for (u32 i = bytes; i < rounded; ++i) {
        if (begin[i] != GUARD) report("writes behind the end of its dynamic shared memory of %u bytes", bytes);
    }
    for (int i = -64; i < 0; ++i) {
        if (begin[i] != GUARD) report("writes before the beginning of its dynamic shared memory");
    }
}

static struct sigaction previous_segv, previous_bus, previous_fpe;

// A fault in a thread of a block ends the launch, other ones go to whoever was asked before.
static void on_fault(int signal, siginfo_t* info, void* context) {
    if (state != nullptr && state->running) {
        if (signal == SIGFPE) fail("divides by zero");
        const char* at = (const char*)info->si_addr;
        const char* stack = state->threads[state->current].stack;
        if (at >= stack && at < stack + STACK_GUARD) fail("needs more than %zu bytes of stack", STACK_BYTES - STACK_GUARD);
        fail("reads or writes out of bounds, at address %p", info->si_addr);
    }
    const struct sigaction& previous = signal == SIGSEGV ? previous_segv : signal == SIGBUS ? previous_bus : previous_fpe;
    if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(signal, info, context);
    } else {
        ::signal(signal, SIG_DFL);
    }
}

static void prepare() {
    if (state != nullptr) return;
    state = new State();
    char* dynamic = (char*)mmap(nullptr, MAX_SHARED + 2 * PAGE, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (dynamic == MAP_FAILED) abort();
    state->dynamic_end = dynamic + PAGE + MAX_SHARED;
    mprotect(state->dynamic_end, PAGE, PROT_NONE);
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &previous_segv);
    sigaction(SIGBUS, &action, &previous_bus);
    sigaction(SIGFPE, &action, &previous_fpe);
}

static const char* refusal(const HostLaunch* launch, u32 max_threads, size_t args_bytes) {
    if (launch->args_bytes != args_bytes) return "the size of its argument struct differs from that in Rust";
    if (launch->block == 0 || launch->block > MAX_THREADS) return "a block has 1 to 1,024 threads";
    if (launch->block > max_threads) return "a block has more threads than its declaration allows";
    if (launch->grid[0] == 0 || launch->grid[1] == 0 || launch->grid[2] == 0) return "a grid needs a block";
    if (launch->grid[0] > 0x7fffffffu || launch->grid[1] > 65535 || launch->grid[2] > 65535) return "the grid is too large";
    if (launch->shared > MAX_SHARED) return "a block asks for too much shared memory";
    return nullptr;
}

// Runs a launch; 1 and a message in it when it has failed.
static int run(HostLaunch* launch, u32 max_threads, size_t args_bytes, void (*body)(const void*)) {
    prepare();
    std::vector<float> aligned((args_bytes + 63) / 16 * 4);
    char* args = (char*)(((uintptr_t)aligned.data() + 15) / 16 * 16);
    state->launch = launch;
    state->failed = false;
    state->random = launch->seed;
    state->body = body;
    state->args = args;
    if (const char* reason = refusal(launch, max_threads, args_bytes)) {
        report("%s (%u threads, at most %u; %llu bytes of arguments, expected %zu)", reason, launch->block, max_threads,
               launch->args_bytes, args_bytes);
        return 1;
    }
    memcpy(args, launch->args, args_bytes);
    u32 across = launch->grid[0], up = launch->grid[1];
    u64 blocks = (u64)across * up * launch->grid[2];
    std::vector<u32> order(blocks);
    for (u64 i = 0; i < blocks; ++i) {
        u64 other = below((u32)(i + 1));
        order[i] = order[other], order[other] = (u32)i;
    }
    blockDim = {launch->block, 1, 1};
    gridDim = {across, up, launch->grid[2]};
    Range fixed = static_shared();
    for (u64 i = 0; i < blocks && !state->failed; ++i) {
        blockIdx = {order[i] % across, order[i] / across % up, order[i] / across / up};
        // What a block leaves in shared memory is as good as random to most of the later ones.
        if (i == 0 || below(8) == 0) memset(fixed.begin, UNWRITTEN, fixed.bytes);
        fill_dynamic();
        run_block(launch->block);
        if (!state->failed) check_dynamic();
    }
    return state->failed ? 1 : 0;
}

}  // namespace host
