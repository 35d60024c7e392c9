/* outpost explain: what a reply of the mail server or an error of the token
 * endpoint means, what to do, and what Outpost does about it. Nothing is asked
 * over the network: the answers are the rows by which mail is judged
 * (smtp/verdict.c, auth/oauth_error.c).
 */
#include <ctype.h>
#include <stdbool.h>
#include <sysexits.h>
#include <unistd.h>

#include "auth/oauth_error.h"
#include "auth/oauth_response.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/xalloc.h"
#include "outpost/outpost.h"
#include "outpost/show.h"
#include "smtp/reply.h"
#include "smtp/verdict.h"

#define TEXT_MAX (64u * 1024)
#define PIECE 4096u
#define UNKNOWN 1 /* exit code */
#define JSON_MAX (1024u * 1024)
#define MEANINGS_MAX 64u
#define MAILBOX "MAILBOX"
#define LABEL_WIDTH 9
/* AADSTS codes have from 4 to 9 digits. */
#define CODE_DIGITS_MIN 4u
#define CODE_DIGITS_MAX 9u

const char explain_help[] =
    "TEXT is what a log, a bounce or a program shows: a whole reply\n"
    "(\"535 5.7.139 Authentication unsuccessful, ...\"), a part of it\n"
    "(5.7.139, 535), an error of the token endpoint (AADSTS700082, 700082,\n"
    "invalid_grant). What stands before and behind does no harm. A lone \"-\"\n"
    "reads the text from standard input.\n"
    "\n"
    "  --json   for programs\n"
    "\n"
    "Exits 0 when it is known, else 1.\n";

/* What the text holds of a reply. */
struct query {
	const char *text; /* as given */
	int code;         /* 0: none */
	char status[REPLY_STATUS_SIZE];
	const char *rest; /* behind code and status */
	unsigned stage;   /* enum smtp_stage; 0: not told */
};

/* A row of either table, in one form. */
struct meaning {
	char match[VERDICT_KEY_SIZE];
	const char *kind; /* "reply" or "token" */
	char sentence[ERROR_TEXT_SIZE];
	char hint[ERROR_HINT_SIZE];
	enum error_class class;
	unsigned first, cap; /* seconds */
	int exit_code;
	bool token_rejected;
};

struct answer {
	struct meaning meanings[MEANINGS_MAX];
	size_t count;
	bool general; /* nothing fits but what goes for all alike */
};

/* Rows that say the same in other words for the server's are one. */
static struct meaning *
add_meaning(struct answer *a, const char *sentence, const char *hint)
{
	struct meaning m = { .kind = "" };

	(void)error_fill(m.sentence, sizeof(m.sentence), sentence, MAILBOX);
	(void)error_fill(m.hint, sizeof(m.hint), hint, MAILBOX);
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->meanings[i].sentence, m.sentence) == 0 &&
		    strcmp(a->meanings[i].hint, m.hint) == 0)
			return NULL;
	if (a->count == MEANINGS_MAX)
		return NULL;
	a->meanings[a->count] = m;
	return &a->meanings[a->count++];
}

static void
add_reply(struct answer *a, const struct verdict_row *row)
{
	struct meaning *m = add_meaning(a, row->sentence, row->hint);

	if (m == NULL)
		return;
	m->kind = "reply";
	verdict_key(row, m->match);
	m->class = row->class;
	m->first = row->first;
	m->cap = row->cap;
	m->exit_code = row->exit_code;
	m->token_rejected = row->token_rejected;
}

static void
add_token_error(struct answer *a, const struct oauth_row *row)
{
	struct meaning *m = add_meaning(a, row->sentence, row->hint);

	if (m == NULL)
		return;
	m->kind = "token";
	oauth_error_key(row, m->match);
	m->class = row->class;
	m->first = row->retry_after;
	m->exit_code = row->exit_code;
}

/* Does a word or number begin here? */
static bool
is_start(const char *text, const char *at)
{
	return at == text || (!isalnum((unsigned char)at[-1]) &&
				 at[-1] != '.' && at[-1] != '_');
}

/* "535" of a reply, with what follows. Behind a code a status may come after
 * what programs put between: "(535, b'5.7.139 …')", "535-5.7.139". */
static bool
take_code(struct query *q, const char *at, bool *certain)
{
	const char *next = at + 3;
	size_t len;

	if ((*at != '4' && *at != '5') || !isdigit((unsigned char)at[1]) ||
	    !isdigit((unsigned char)at[2]) || isalnum((unsigned char)*next) ||
	    (*next == '.' && isdigit((unsigned char)next[1])))
		return false;
	q->code = (at[0] - '0') * 100 + (at[1] - '0') * 10 + at[2] - '0';
	while (*next != '\0' && strchr(" -,:b'\"(#", *next) != NULL)
		next++;
	len = reply_status_length(next);
	q->status[0] = '\0';
	*certain = len > 0 && len < sizeof(q->status) && *next != '2';
	if (*certain) {
		strlcpy(q->status, next, len + 1);
		next += len;
	}
	q->rest = next + strspn(next, " -,:;'\"");
	return true;
}

/* A number alone is a code only where a reply can begin. */
static bool
is_reply_start(const char *text, const char *at)
{
	while (at > text && strchr("'\"(<", at[-1]) != NULL)
		at--;
	return at == text || at[-1] == '\n' ||
	       (at - text >= 2 && at[-1] == ' ' && at[-2] == ':');
}

static bool
find_code(struct query *q)
{
	struct query try = *q;
	bool found = false, certain;

	for (const char *at = q->text; *at != '\0'; at++) {
		if (!is_start(q->text, at) || !take_code(&try, at, &certain))
			continue;
		if (certain || (!found && is_reply_start(q->text, at))) {
			*q = try;
			found = true;
		}
		if (certain)
			break;
	}
	return found;
}

static bool
find_status(struct query *q)
{
	for (const char *at = q->text; *at != '\0'; at++) {
		size_t len = reply_status_length(at);

		if (len == 0 || len >= sizeof(q->status) || *at == '2' ||
		    !is_start(q->text, at))
			continue;
		strlcpy(q->status, at, len + 1);
		q->rest = at + len + strspn(at + len, " -,:;'\"");
		return true;
	}
	return false;
}

/* Postfix says what a reply was for. */
static void
find_stage(struct query *q)
{
	static const struct {
		const char *words;
		unsigned stage;
	} known[] = {
		{ "in reply to MAIL FROM", SMTP_STAGE_MAIL },
		{ "in reply to RCPT TO", SMTP_STAGE_RCPT },
		{ "in reply to end of DATA", SMTP_STAGE_FINAL },
		{ "in reply to DATA", SMTP_STAGE_DATA },
		{ "in reply to AUTH", SMTP_STAGE_AUTH },
		{ "in reply to EHLO", SMTP_STAGE_EHLO },
		{ "in reply to STARTTLS", SMTP_STAGE_STARTTLS },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcasestr(q->text, known[i].words) != NULL) {
			q->stage = known[i].stage;
			return;
		}
}

/* A whole reply: its row, or one for each stage that it may answer. */
static void
answer_reply(struct answer *a, const struct query *q)
{
	const struct verdict_row *row, *general = NULL;

	for (unsigned stage = q->stage != 0 ? q->stage : SMTP_STAGE_ANY;
	     stage <= SMTP_STAGE_RSET; stage = stage == 0 ? 1 : stage * 2) {
		row = verdict_find(q->code, q->status, q->rest, stage);
		if (!verdict_is_general(row))
			add_reply(a, row);
		else if (general == NULL)
			general = row;
		if (q->stage != 0)
			break;
	}
	if (a->count > 0 || general == NULL)
		return;
	add_reply(a, general);
	a->general = true;
}

/* A code alone: does the row's text usually come with a status that the code
 * has rows for? */
static bool
usually_fits(const struct verdict_row *row, const struct query *q)
{
	const struct verdict_row *other;

	if (*q->status != '\0' || row->code != q->code / 100 ||
	    row->status == NULL || row->status[0] != '~')
		return false;
	for (size_t i = 0; (other = verdict_row(i)) != NULL; i++)
		if (other->code == q->code && other->status != NULL &&
		    strcmp(other->status, row->status + 1) == 0)
			return true;
	return false;
}

/* Less than that: what it may mean. A row whose words are there is certain;
 * without such a row, all that fit. */
static void
answer_part(struct answer *a, const struct query *q)
{
	const struct verdict_row *row;

	for (size_t i = 0; (row = verdict_row(i)) != NULL; i++)
		if (row->fragment != NULL && *q->rest != '\0' &&
		    verdict_fits(row, q->code, q->status, q->rest)) {
			add_reply(a, row);
			return;
		}
	for (size_t i = 0; (row = verdict_row(i)) != NULL; i++)
		if (verdict_fits(row, q->code, q->status, q->rest) ||
		    usually_fits(row, q))
			add_reply(a, row);
	if (a->count == 0 && q->code != 0)
		answer_reply(a, q);
	else if (q->code != 0 && *q->status == '\0')
		/* Without a status it can be anything else as well. */
		add_reply(a, verdict_find(q->code, "", "", SMTP_STAGE_ANY));
}

static void
explain_reply(struct answer *a, const char *text)
{
	struct query q = { .text = text, .rest = text };
	bool has_code = find_code(&q);

	if (!has_code)
		(void)find_status(&q);
	find_stage(&q);
	if (has_code && *q.rest != '\0')
		answer_reply(a, &q);
	else
		answer_part(a, &q);
}

static void
add_number(struct oauth_failure *f, const char *digits, size_t len)
{
	long long number = 0;

	if (len < CODE_DIGITS_MIN || len > CODE_DIGITS_MAX ||
	    f->code_count == OAUTH_CODES_MAX)
		return;
	for (size_t i = 0; i < len; i++)
		number = number * 10 + (digits[i] - '0');
	f->codes[f->code_count++] = number;
}

#define DIGITS "0123456789"
#define PREFIX "AADSTS"

/* "AADSTS700082" anywhere; numbers when there is nothing else. */
static void
find_numbers(struct oauth_failure *f, const char *text)
{
	const char *at = text;

	if (text[strspn(text, DIGITS " ,[]/")] == '\0')
		while (*(at += strcspn(at, DIGITS)) != '\0') {
			add_number(f, at, strspn(at, DIGITS));
			at += strspn(at, DIGITS);
		}
	else
		while ((at = strcasestr(at, PREFIX)) != NULL) {
			at += strlen(PREFIX);
			add_number(f, at, strspn(at, DIGITS));
		}
}

static bool
has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
		if (is_start(text, at) && !isalnum((unsigned char)at[len]) &&
		    at[len] != '_')
			return true;
	return false;
}

static void
find_words(struct oauth_failure *f, const char *text)
{
	const struct oauth_row *row;

	for (size_t i = 0; (row = oauth_error_row(i)) != NULL; i++) {
		if (row->error != NULL && f->error[0] == '\0' &&
		    has_word(text, row->error))
			strlcpy(f->error, row->error, sizeof(f->error));
		if (row->suberror != NULL && f->suberror[0] == '\0' &&
		    has_word(text, row->suberror))
			strlcpy(
			    f->suberror, row->suberror, sizeof(f->suberror));
	}
}

/* True when the text speaks of the token endpoint. */
static bool
explain_token_error(struct answer *a, const char *text)
{
	struct oauth_failure f = { .code_count = 0 };
	bool too_many =
	    strcmp(text, "429") == 0 || strcasestr(text, "HTTP 429") != NULL;
	const struct oauth_row *row;

	find_numbers(&f, text);
	find_words(&f, text);
	if (f.code_count == 0 && *f.error == '\0' && *f.suberror == '\0' &&
	    !too_many)
		return false;
	a->general = f.code_count > 0;
	for (size_t i = 0; i < f.code_count; i++)
		if (oauth_error_code(f.codes[i]) != NULL)
			a->general = false;
	row = oauth_error_find(&f, too_many ? 429 : 0);
	if (!a->general || *f.error != '\0' || *f.suberror != '\0')
		add_token_error(a, row);
	return true;
}

/* What Outpost does when it meets it. */
static void
describe(const struct meaning *m, struct buf *out)
{
	char first[SHOW_DURATION_SIZE], cap[SHOW_DURATION_SIZE];

	buf_addf(out, "%s: ", error_class_name(m->class));
	if (m->token_rejected)
		buf_adds(out, "another access token is tried once; then ");
	if (m->class == ERROR_REFUSED) {
		buf_adds(out, "it is not tried again");
	} else {
		buf_adds(out,
		    m->class == ERROR_HOLD
			? "the account waits for a person and is tried again "
			: "it is tried again ");
		if (m->first == 0)
			buf_adds(out, "with the usual back-off");
		else
			buf_addf(
			    out, "after %s", show_duration(m->first, first));
		if (m->cap > m->first)
			buf_addf(out, ", doubling up to %s",
			    show_duration(m->cap, cap));
	}
	buf_addf(out, "; exit code %d%s", m->exit_code,
	    m->class == ERROR_REFUSED ? "" : " where it is not queued");
}

static void
show_line(const char *label, const char *text)
{
	printf("  ");
	show(SHOW_DIM, LABEL_WIDTH, label);
	show(SHOW_PLAIN, 0, text);
	printf("\n");
}

static void
show_meaning(const struct meaning *m)
{
	struct buf does;

	buf_init(&does, ERROR_TEXT_SIZE);
	describe(m, &does);
	show(SHOW_BOLD, 0, m->match);
	printf("\n");
	show_line("means", m->sentence);
	show_line("to do", m->hint);
	show_line("Outpost", does.data);
	buf_release(&does);
}

static void
show_answer(const struct answer *a)
{
	if (a->count > 1)
		printf("It can be one of these; more of the text tells which."
		       "\n\n");
	for (size_t i = 0; i < a->count; i++) {
		if (i > 0)
			printf("\n");
		show_meaning(&a->meanings[i]);
	}
}

static void
show_json(const struct answer *a, const char *text)
{
	struct buf out;

	buf_init(&out, JSON_MAX);
	json_open(&out, '{');
	json_text(&out, "text", text);
	json_bool(&out, "known", !a->general && a->count > 0);
	json_name(&out, "meanings");
	json_open(&out, '[');
	for (size_t i = 0; i < a->count; i++) {
		const struct meaning *m = &a->meanings[i];

		json_open(&out, '{');
		json_text(&out, "kind", m->kind);
		json_text(&out, "match", m->match);
		json_text(&out, "sentence", m->sentence);
		json_text(&out, "hint", m->hint);
		json_text(&out, "class", error_class_name(m->class));
		json_number(&out, "retry_after", m->first);
		json_number(&out, "retry_after_max", m->cap);
		json_bool(&out, "new_token", m->token_rejected);
		json_number(&out, "exit_code", m->exit_code);
		json_close(&out, '}');
	}
	json_close(&out, ']');
	json_close(&out, '}');
	printf("%s\n", out.data);
	buf_release(&out);
}

static int
unknown(const struct answer *a, const char *text, struct error *err)
{
	struct oauth_failure f = { .code_count = 0 };

	find_numbers(&f, text);
	if (f.code_count > 0) {
		error_set(err, UNKNOWN, "5.0.0",
		    "Outpost does not know AADSTS%lld", f.codes[0]);
		return error_hint(err,
		    "look it up at "
		    "https://login.microsoftonline.com/error?code=%lld",
		    f.codes[0]);
	}
	if (a->count > 0) {
		error_set(err, UNKNOWN, "5.0.0",
		    "Outpost has no entry of its own for this reply, and goes "
		    "by its first digit");
		return error_hint(err, "look up the server's own words");
	}
	error_set(err, UNKNOWN, "5.0.0",
	    "there is nothing in this text that Outpost knows");
	return error_hint(err,
	    "give it the server's whole reply, as in \"535 5.7.139 "
	    "Authentication unsuccessful, ...\"; what Outpost says itself "
	    "stands in sendmail(8) and outpost(8), DIAGNOSTICS");
}

/* The words of the command line in one, or standard input for "-". */
static int
gather(int argc, char **argv, struct buf *text, struct error *err)
{
	ssize_t n = 0;
	char *room;

	if (argc == 1 && strcmp(argv[0], "-") == 0) {
		do {
			buf_grown(text, (size_t)n);
			room = buf_room(text, PIECE);
			n = room == NULL
				? 0
				: file_read_some(STDIN_FILENO, room, PIECE);
		} while (n > 0);
	} else {
		for (int i = 0; i < argc; i++)
			(void)buf_addf(text, "%s%s", i > 0 ? " " : "", argv[i]);
	}
	while (
	    text->len > 0 && isspace((unsigned char)text->data[text->len - 1]))
		(void)buf_splice(text, text->len - 1, 1, NULL, 0);
	if (n == -1)
		return error_set(
		    err, EX_IOERR, "4.3.0", "cannot read standard input");
	if (text->full)
		return error_set(err, EX_DATAERR, "5.3.0",
		    "the text is longer than %u bytes", TEXT_MAX);
	if (text->len > 0 && strlen(text->data) == text->len)
		return 0;
	error_set(err, EX_USAGE, "5.3.0", "explain needs a text");
	return error_hint(err, "'outpost help explain' tells more");
}

int
explain_run(struct outpost *o, int argc, char **argv, struct error *err)
{
	bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
	int first = json ? 2 : 1;
	struct answer *a = xcalloc(1, sizeof(*a));
	struct buf text;
	int result;

	(void)o;
	buf_init(&text, TEXT_MAX);
	result = gather(argc - first, argv + first, &text, err);
	if (result == 0) {
		if (!explain_token_error(a, text.data))
			explain_reply(a, text.data);
		if (json)
			show_json(a, text.data);
		else
			show_answer(a);
		if (a->general || a->count == 0)
			result = unknown(a, text.data, err);
	}
	buf_release(&text);
	free(a);
	return result;
}
