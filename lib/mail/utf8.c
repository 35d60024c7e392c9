#include "mail/utf8.h"

#include <stdint.h>

#define HIGH_BITS 0x8080808080808080u

/* The bytes that may follow a lead byte as second, by RFC 3629 section 4. */
static bool
second_fits(unsigned char lead, unsigned char second)
{
	switch (lead) {
	case 0xe0:
		return second >= 0xa0 && second <= 0xbf;
	case 0xed:
		return second >= 0x80 && second <= 0x9f;
	case 0xf0:
		return second >= 0x90 && second <= 0xbf;
	case 0xf4:
		return second >= 0x80 && second <= 0x8f;
	default:
		return second >= 0x80 && second <= 0xbf;
	}
}

static size_t
length_by_lead(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef)
		return 3;
	return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/* Do these bytes begin a valid character, as far as they go? */
static bool
may_begin(const unsigned char *p, size_t len)
{
	if (length_by_lead(p[0]) < len)
		return false;
	if (len > 1 && !second_fits(p[0], p[1]))
		return false;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return false;
	return true;
}

size_t
utf8_char(const char *bytes, size_t len)
{
	const unsigned char *p = (const unsigned char *)bytes;
	size_t need;

	if (len == 0)
		return 0;
	need = length_by_lead(p[0]);
	if (need == 0 || need > len || !may_begin(p, need))
		return 0;
	return need;
}

/* Length of the ASCII run at 'p', by words. */
static size_t
ascii_run(const char *p, size_t len)
{
	size_t n = 0;
	uint64_t word;

	while (len - n >= sizeof(word)) {
		memcpy(&word, p + n, sizeof(word));
		if ((word & HIGH_BITS) != 0)
			break;
		n += sizeof(word);
	}
	while (n < len && ((unsigned char)p[n] & 0x80) == 0)
		n++;
	return n;
}

/* Bytes up to the first that begins no whole valid character. */
static size_t
valid_run(const char *bytes, size_t len)
{
	size_t n = 0, step;

	while ((n += ascii_run(bytes + n, len - n)) < len) {
		step = utf8_char(bytes + n, len - n);
		if (step == 0)
			break;
		n += step;
	}
	return n;
}

bool
utf8_valid(const char *bytes, size_t len)
{
	return valid_run(bytes, len) == len;
}

bool
utf8_has_8bit(const char *bytes, size_t len)
{
	return ascii_run(bytes, len) < len;
}

/* Complete the character that the last chunk cut. */
static size_t
feed_part(struct utf8_state *s, const char *bytes, size_t len)
{
	size_t used = 0;

	while (s->part_len > 0 && used < len && !s->bad) {
		s->part[s->part_len++] = bytes[used++];
		if (!may_begin((unsigned char *)s->part, s->part_len))
			s->bad = true;
		else if (utf8_char(s->part, s->part_len) > 0)
			s->part_len = 0;
	}
	return used;
}

void
utf8_feed(struct utf8_state *s, const char *bytes, size_t len)
{
	size_t n;

	n = feed_part(s, bytes, len);
	if (s->bad || n == len)
		return;
	n += valid_run(bytes + n, len - n);
	if (n == len)
		return;
	if (len - n >= UTF8_CHAR_MAX ||
	    !may_begin((const unsigned char *)bytes + n, len - n)) {
		s->bad = true;
		return;
	}
	s->part_len = len - n;
	memcpy(s->part, bytes + n, s->part_len);
}

bool
utf8_end(const struct utf8_state *s)
{
	return !s->bad && s->part_len == 0;
}
