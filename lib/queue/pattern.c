#include "queue/pattern.h"

#include "queue/entry.h"

bool
pattern_valid(const char *text)
{
	text += *text == '!';
	return (*text == 'I' || *text == 'R' || *text == 'S') &&
	       text[1] != '\0';
}

static bool
any_recipient_has(const struct envelope *e, const char *part)
{
	for (size_t i = 0; i < e->count; i++)
		if (strcasestr(e->recipients[i].address, part) != NULL)
			return true;
	return false;
}

bool
pattern_matches(const char *pattern, const struct entry *e)
{
	bool negated = *pattern == '!', found = false;

	pattern += negated;
	switch (*pattern) {
	case 'I':
		found = strstr(e->id, pattern + 1) != NULL;
		break;
	case 'R':
		found = any_recipient_has(&e->envelope, pattern + 1);
		break;
	case 'S':
		found = e->envelope.sender != NULL &&
			strcasestr(e->envelope.sender, pattern + 1) != NULL;
		break;
	default:
		break;
	}
	return found != negated;
}
