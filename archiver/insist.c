#include "archiver/insist.h"

#include <stdlib.h>
#include <time.h>

enum { PAUSE_MS = 10 };

void
hv_insist_pause(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
}

void *
hv_insist(size_t size)
{
    void *memory;

    while ((memory = calloc(1, size)) == NULL)
        hv_insist_pause();
    return memory;
}
