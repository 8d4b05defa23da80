// Stands for NCCL in tests: communicators of one process whose memory is that of the host. A sum waits until all of them have come to it,
// or one has been ended. The environment says what is wrong with the machine.
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 4, INVALID_USAGE = 5, REMOTE_ERROR = 6 };
enum { FLOAT32 = 7, SUM = 0, MAX_RANKS = 8 };

struct Comm {
    int rank;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct Comm* comms[MAX_RANKS];
static int ranks = 0, come = 0, live = 0, aborted = 0;
static long made = 0;
static float* buffers[MAX_RANKS];

// Communicators that were made and not destroyed.
int fake_live_communicators(void) { return live; }

const char* ncclGetErrorString(int status) { return status == INVALID_USAGE ? "invalid usage" : "some error"; }

int ncclGetVersion(int* version) {
    *version = 22602;
    return SUCCESS;
}

int ncclCommInitAll(struct Comm** made_comms, int count, const int* devices) {
    (void)devices;
    if (getenv("FAKE_NCCL")) return INVALID_USAGE;
    if (count < 1 || count > MAX_RANKS) return INVALID_ARGUMENT;
    ranks = count;
    for (int rank = 0; rank < count; ++rank) {
        comms[rank] = malloc(sizeof(struct Comm));
        comms[rank]->rank = rank;
        made_comms[rank] = comms[rank];
    }
    live += count;
    return SUCCESS;
}

int ncclAllReduce(const void* from, void* to, size_t len, int type, int op, struct Comm* comm, void* stream) {
    if (from != to || type != FLOAT32 || op != SUM || !stream) return INVALID_ARGUMENT;
    pthread_mutex_lock(&mutex);
    const long number = made;
    buffers[comm->rank] = to;
    if (++come == ranks) {
        for (size_t i = 0; i < len; ++i) {
            float sum = 0;
            for (int rank = 0; rank < ranks; ++rank) sum += buffers[rank][i];
            for (int rank = 0; rank < ranks; ++rank) buffers[rank][i] = sum;
        }
        come = 0;
        ++made;
        pthread_cond_broadcast(&changed);
    }
    while (made == number && !aborted) pthread_cond_wait(&changed, &mutex);
    const int status = made == number ? REMOTE_ERROR : SUCCESS;
    pthread_mutex_unlock(&mutex);
    return status;
}

static int end(struct Comm* comm) {
    free(comm);
    --live;
    return SUCCESS;
}

int ncclCommDestroy(struct Comm* comm) { return end(comm); }

#ifndef WITHOUT_ABORT
int ncclCommAbort(struct Comm* comm) {
    pthread_mutex_lock(&mutex);
    aborted = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    return end(comm);
}
#endif
