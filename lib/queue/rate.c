#include "queue/rate.h"

#include <string.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/record.h"

#define TYPE "ledger"
#define HOUR_MS (3600LL * 1000)
#define TIME_MAX 9999999999999LL
#define COUNT_MAX 999999999LL

void
rate_init(struct rate *rate)
{
	*rate = (struct rate){ .count = 0 };
}

void
rate_fill(struct rate *rate, size_t messages, long long now)
{
	rate_init(rate);
	for (size_t i = 0; i < messages && i < RATE_MESSAGES_MAX; i++)
		rate_add(rate, now);
}

/* The index of the first time that is not after 'horizon'. */
static size_t
first_until(const struct rate *rate, long long horizon)
{
	size_t i = 0;

	while (i < rate->count && rate->times[i] > horizon)
		i++;
	return i;
}

long long
rate_earliest(const struct rate *rate, size_t messages, long long window,
    long long now, long long horizon)
{
	size_t decides = first_until(rate, horizon) + messages - 1;
	long long at;

	if (messages == 0)
		return RATE_ALL;
	if (decides >= rate->count)
		return now;
	at = rate->times[decides] + window;
	return at > now ? at : now;
}

size_t
rate_count(const struct rate *rate, long long since)
{
	size_t n = 0;

	while (n < rate->count && rate->times[n] > since)
		n++;
	return n;
}

void
rate_add(struct rate *rate, long long at)
{
	size_t i = first_until(rate, at);

	if (i == RATE_TIMES_MAX)
		return;
	if (rate->count == RATE_TIMES_MAX)
		rate->count--;
	memmove(rate->times + i + 1, rate->times + i,
	    (rate->count - i) * sizeof(rate->times[0]));
	rate->times[i] = at;
	rate->count++;
}

void
rate_remove(struct rate *rate, long long at)
{
	size_t i = first_until(rate, at);

	if (i == rate->count || rate->times[i] != at)
		return;
	rate->count--;
	memmove(rate->times + i, rate->times + i + 1,
	    (rate->count - i) * sizeof(rate->times[0]));
}

/* Recipients of the hour that was 'age' hours before the one of 'now'. The
 * counters are kept for the hours up to rate->hour; a clock set back is
 * answered by taking these for the last ones. */
static long long
recipients_of(const struct rate *rate, long long now, long long age)
{
	long long current = now / HOUR_MS;
	long long hour = current - age;

	if (rate->hour > current)
		hour += rate->hour - current;
	if (hour > rate->hour || hour <= rate->hour - (long long)RATE_HOURS ||
	    hour < 0)
		return 0;
	return rate->recipients[hour % RATE_HOURS];
}

long long
rate_day(const struct rate *rate, long long now)
{
	long long sum = 0;

	for (long long age = 0; age < (long long)RATE_HOURS; age++)
		sum += recipients_of(rate, now, age);
	return sum;
}

long long
rate_day_earliest(const struct rate *rate, long long daily,
    long long recipients, long long now)
{
	long long sum = rate_day(rate, now);
	long long age = RATE_HOURS - 1;

	while (sum > 0 && sum + recipients > daily)
		sum -= recipients_of(rate, now, age--);
	if (age == RATE_HOURS - 1)
		return now;
	/* The hour that was age + 1 ago leaves when it is RATE_HOURS ago. */
	return (now / HOUR_MS + RATE_HOURS - (age + 1)) * HOUR_MS;
}

void
rate_day_add(struct rate *rate, long long recipients, long long now)
{
	long long moved[RATE_HOURS] = { 0 };
	long long hour = now / HOUR_MS;

	for (long long age = 0; age < (long long)RATE_HOURS && age <= hour;
	     age++)
		moved[(hour - age) % RATE_HOURS] =
		    recipients_of(rate, now, age);
	moved[hour % RATE_HOURS] += recipients;
	memcpy(rate->recipients, moved, sizeof(moved));
	rate->hour = hour;
}

static void
put(struct buf *out, const char *key, int width, long long value)
{
	if (value < 0)
		value = 0;
	(void)buf_addf(out, "%s: %0*lld\n", key, width, value);
}

void
rate_format(const struct rate *rate, size_t messages, struct buf *out)
{
	if (messages > RATE_MESSAGES_MAX)
		messages = RATE_MESSAGES_MAX;
	record_begin(out, TYPE);
	put(out, "hour", 8, rate->hour);
	for (size_t i = 0; i < RATE_HOURS; i++)
		put(out, "recipients", 9,
		    rate->recipients[i] > COUNT_MAX ? COUNT_MAX
						    : rate->recipients[i]);
	for (size_t i = 0; i < 2 * messages; i++)
		put(out, "time", 13, i < rate->count ? rate->times[i] : 0);
}

static int
number_of(const char *text, long long max, long long *out)
{
	const char *why;

	*out = strtonum(text, 0, max, &why);
	return why == NULL ? 0 : -1;
}

/* One field into its place; 'hours' counts those of key "recipients". */
static int
take_field(struct rate *rate, const struct record_field *field,
    long long latest, long long now, size_t *hours)
{
	long long value;

	if (strcmp(field->key, "hour") == 0)
		return number_of(field->value, TIME_MAX / HOUR_MS, &rate->hour);
	if (strcmp(field->key, "recipients") == 0) {
		if (*hours == RATE_HOURS)
			return -1;
		return number_of(
		    field->value, COUNT_MAX, &rate->recipients[(*hours)++]);
	}
	if (strcmp(field->key, "time") != 0 ||
	    number_of(field->value, TIME_MAX, &value) == -1)
		return -1;
	if (value > latest) {
		rate->mended = true;
		value = now;
	}
	if (value != 0)
		rate_add(rate, value);
	return 0;
}

int
rate_parse(struct rate *rate, const char *text, size_t len, long long now,
    long long window, struct error *err)
{
	struct rate parsed;
	struct record r;
	size_t hours = 0;
	int result = 0;

	rate_init(&parsed);
	record_init(&r);
	if (record_parse(&r, TYPE, text, len, err) == -1)
		return -1;
	for (size_t i = 0; i < r.count && result == 0; i++)
		result = take_field(
		    &parsed, &r.fields[i], now + window, now, &hours);
	if (result == -1 || hours != RATE_HOURS)
		result = error_set(err, EX_DATAERR, "4.3.0",
		    "a ledger of sent messages is damaged");
	else {
		if (parsed.hour > now / HOUR_MS) {
			rate_day_add(&parsed, 0, now);
			parsed.mended = true;
		}
		*rate = parsed;
	}
	record_release(&r);
	return result;
}
