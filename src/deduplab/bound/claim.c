/* Who does what, where several processes share memory. */
#include "shown.h"

#include <stdatomic.h>

/* Take something that nobody has taken yet, and return whether that was so. */
SHOWN int claim(atomic_uchar *taken)
{
    return atomic_exchange(taken, 1) == 0;
}

/* Whether something is taken; what was written before it was taken is then seen. */
SHOWN int is_claimed(const atomic_uchar *taken)
{
    return atomic_load(taken) != 0;
}
