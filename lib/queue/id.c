#include "queue/id.h"

/* In the order of ASCII, without vowels: a name is never a word. */
static const char digits[] =
    "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
#define BASE (sizeof(digits) - 1)

#define TIME_DIGITS 10 /* microseconds until the year 4,500,000 */
#define USER_DIGITS (ID_SIZE - 1 - TIME_DIGITS)
#define SALTS 4 /* for each user: BASE to the USER_DIGITS holds them all */

static void
put(char *out, size_t len, uint64_t value)
{
	while (len > 0) {
		out[--len] = digits[value % BASE];
		value /= BASE;
	}
}

static uint64_t
get(const char *text, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++) {
		const char *digit = strchr(digits, text[i]);

		value = value * BASE + (uint64_t)(digit - digits);
	}
	return value;
}

void
id_make(char out[ID_SIZE], const struct timespec *now, uid_t uid, uint32_t salt)
{
	uint64_t microseconds =
	    (uint64_t)now->tv_sec * 1000000 + (uint64_t)now->tv_nsec / 1000;

	put(out, TIME_DIGITS, microseconds);
	put(out + TIME_DIGITS, USER_DIGITS,
	    (uint64_t)uid * SALTS + salt % SALTS);
	out[ID_SIZE - 1] = '\0';
}

bool
id_valid(const char *text)
{
	return strspn(text, digits) == ID_SIZE - 1 && text[ID_SIZE - 1] == '\0';
}

time_t
id_time(const char *id)
{
	return (time_t)(get(id, TIME_DIGITS) / 1000000);
}

uid_t
id_uid(const char *id)
{
	return (uid_t)(get(id + TIME_DIGITS, USER_DIGITS) / SALTS);
}
