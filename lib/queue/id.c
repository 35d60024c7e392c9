#include "queue/id.h"

/* In the order of ASCII, without vowels: a name is never a word. */
static const char digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZ";
#define BASE (sizeof(digits) - 1)

#define TIME_DIGITS 12 /* microseconds until the year 26,000 */

static void
put(char *out, size_t len, uint64_t value)
{
	while (len > 0) {
		out[--len] = digits[value % BASE];
		value /= BASE;
	}
}

void
id_make(char out[ID_SIZE], const struct timespec *now, uint32_t salt)
{
	uint64_t microseconds =
	    (uint64_t)now->tv_sec * 1000000 + (uint64_t)now->tv_nsec / 1000;

	put(out, TIME_DIGITS, microseconds);
	put(out + TIME_DIGITS, ID_SIZE - 1 - TIME_DIGITS, salt);
	out[ID_SIZE - 1] = '\0';
}
