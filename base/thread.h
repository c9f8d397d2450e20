// Which thread this is, for what is kept apart by thread so that processors need not pass it about.
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#define CACHE_LINE 64

unsigned thread_number(void); // 0, 1, 2 … in the order in which threads asked first

#endif
