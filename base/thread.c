#include "base/thread.h"

#include <stdatomic.h>

unsigned thread_number(void)
{
    static atomic_uint given;
    static _Thread_local unsigned mine; // plus one

    if (mine == 0)
        mine = atomic_fetch_add(&given, 1) + 1;
    return mine - 1;
}
