#include "sendmail/options.h"

#include <ctype.h>
#include <stdint.h>
#include <sysexits.h>
#include <unistd.h>

#include "account/config.h"
#include "base/error.h"
#include "queue/pattern.h"

/* Takes an option's argument (NULL for a flag). */
typedef int option_handler(
    struct options *, char letter, char *argument, struct error *);

static option_handler set_flag, set_text, check_body_type, set_hops, set_mode,
    set_error_mode, set_short_option, set_long_option, set_delivery, set_debug,
    set_queue, set_tag, set_no_recipient, refuse_config, ignore, ignore_file;

enum argument {
	NONE,
	NEEDED,   /* attached or the next word */
	ATTACHED, /* attached or none */
};

/* clang-format off */
static const struct option {
	char letter;
	enum argument argument;
	option_handler *handler;
	const char *what;
} table[] = {
	{ 'A', NEEDED,   ignore,           "accepted and ignored" },
	{ 'B', NEEDED,   check_body_type,  "7BIT or 8BITMIME; the content decides" },
	{ 'b', NEEDED,   set_mode,         "what to do" },
	{ 'C', NEEDED,   refuse_config,    "refused" },
	{ 'c', NONE,     ignore,           "accepted and ignored" },
	{ 'D', NEEDED,   ignore_file,      "accepted, never opened" },
	{ 'd', ATTACHED, set_debug,        "-d0.1 prints the version" },
	{ 'E', NONE,     ignore,           "accepted and ignored" },
	{ 'e', NEEDED,   set_error_mode,   "how errors are told" },
	{ 'F', NEEDED,   set_text,         "full name of the sender" },
	{ 'f', NEEDED,   set_text,         "address of the sender" },
	{ 'G', NONE,     set_flag,         "relay: add nothing" },
	{ 'h', NEEDED,   set_hops,         "most hops" },
	{ 'I', NONE,     set_mode,         "like -bi" },
	{ 'i', NONE,     set_flag,         "a lone dot does not end the message" },
	{ 'J', NEEDED,   ignore,           "accepted and ignored" },
	{ 'L', NEEDED,   set_tag,          "the program's name in the log" },
	{ 'M', NEEDED,   ignore,           "accepted and ignored" },
	{ 'm', NONE,     ignore,           "accepted and ignored" },
	{ 'N', NEEDED,   set_text,         "when to notify" },
	{ 'n', NONE,     set_flag,         "no aliases" },
	{ 'O', NEEDED,   set_long_option,  "option by its long name" },
	{ 'o', NEEDED,   set_short_option, "option by its letter" },
	{ 'p', NEEDED,   ignore,           "accepted and ignored" },
	{ 'q', ATTACHED, set_queue,        "run the queue" },
	{ 'R', NEEDED,   set_text,         "what notifications return" },
	{ 'r', NEEDED,   set_text,         "like -f" },
	{ 's', NONE,     ignore,           "accepted and ignored" },
	{ 'T', NEEDED,   ignore,           "accepted and ignored" },
	{ 't', NONE,     set_flag,         "recipients from the header" },
	{ 'U', NONE,     ignore,           "SMTPUTF8; the content decides" },
	{ 'V', NEEDED,   set_text,         "envelope id" },
	{ 'v', NONE,     set_flag,         "show the SMTP dialogue" },
	{ 'X', NEEDED,   ignore_file,      "accepted, never opened" },
	{ 'x', NONE,     ignore,           "accepted and ignored" },
};

/* -b: modes of other sendmails, and what we say to those we have not. */
static const struct {
	char letter;
	enum options_mode mode;
	const char *refusal;
} modes[] = {
	{ 'm', MODE_MESSAGE, NULL },
	{ 'h', MODE_NOTHING, NULL },
	{ 'H', MODE_NOTHING, NULL },
	{ 'd', MODE_MESSAGE, "there is no daemon" },
	{ 'D', MODE_MESSAGE, "there is no daemon" },
	{ 'l', MODE_MESSAGE, "there is no daemon" },
	{ 's', MODE_SMTP, NULL },
	{ 'p', MODE_MAILQ, NULL },
	{ 'P', MODE_MAILQ_COUNT, NULL },
	{ 'i', MODE_ALIASES, NULL },
	{ 'v', MODE_VERIFY, NULL },
	{ 't', MODE_RULES, NULL },
	{ 'C', MODE_MESSAGE, "there is no such check" },
	{ 'z', MODE_MESSAGE, "there is no frozen configuration" },
	{ 'a', MODE_MESSAGE, "ARPANET mode is not spoken any more" },
};

/* Names of sendmail's by which it is a mode of its own. */
static const struct {
	const char *name;
	char mode[2];
} names[] = {
	{ "hoststat",  "h" },
	{ "newaliases", "i" },
	{ "purgestat", "H" },
	{ "smtpd",     "d" },
};

/* -o x and -O Name=value that do something; all others are accepted and
 * ignored, as sendmail's many options have no meaning here. */
static const struct {
	char letter;
	const char *name;
	option_handler *handler;
} settings[] = {
	{ 'i', "IgnoreDots",   set_flag },
	{ 'v', "Verbose",      set_flag },
	{ 'e', "ErrorMode",    set_error_mode },
	{ 'd', "DeliveryMode", set_delivery },
	{ '\0', "NoRecipientAction", set_no_recipient },
	{ '8', "EightBitMode", ignore },	/* decided from the content */
	{ '7', "SevenBitInput", ignore },	/* the same */
	{ 'm', "MeToo",        ignore },	/* always so */
};
/* clang-format on */

#define INTERVAL_MAX (7 * 86400)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OPTSTRING_SIZE (COUNT(table) * 3 + 2)

static int
usage(struct error *err, const char *hint)
{
	error_hint(err, "%s",
	    hint != NULL
		? hint
		: "usage: sendmail [-t] [-i] [-v] [-f sender] [-F name] "
		  "[recipient ...]");
	return -1;
}

static int
set_flag(struct options *o, char letter, char *argument, struct error *err)
{
	/* As a setting, "-oi" or "-oitrue" or "-oifalse". */
	bool on = argument == NULL || *argument == '\0' ||
		  strchr("tTyY1", *argument) != NULL;

	(void)err;
	switch (letter) {
	case 'G':
		o->add_nothing = on;
		break;
	case 'i':
		o->ignore_dots = on;
		break;
	case 'n':
		o->no_aliases = on;
		break;
	case 't':
		o->recipients_from_header = on;
		break;
	case 'v':
		o->verbose = on;
		break;
	default:
		break;
	}
	return 0;
}

static int
set_text(struct options *o, char letter, char *argument, struct error *err)
{
	(void)err;
	switch (letter) {
	case 'F':
		o->full_name = argument;
		break;
	case 'f':
	case 'r':
		o->sender = argument;
		break;
	case 'N':
		o->notify = argument;
		break;
	case 'R':
		o->ret = argument;
		break;
	case 'V':
		o->envid = argument;
		break;
	default:
		break;
	}
	return 0;
}

/* What the content does not need is not asked of the server: cron says
 * -B8BITMIME of every message. */
static int
check_body_type(
    struct options *o, char letter, char *argument, struct error *err)
{
	(void)o;
	(void)letter;
	if (strcasecmp(argument, "8BITMIME") == 0 ||
	    strcasecmp(argument, "7BIT") == 0)
		return 0;
	error_set(err, EX_USAGE, "5.5.4",
	    "-B does not know the body type '%.60s'", argument);
	return usage(err, "it takes 7BIT or 8BITMIME");
}

static int
set_hops(struct options *o, char letter, char *argument, struct error *err)
{
	const char *why;
	long long hops = strtonum(argument, 0, 1000, &why);

	(void)letter;
	if (why != NULL) {
		error_set(err, EX_USAGE, "5.5.4",
		    "-h takes a number of hops, not '%.60s'", argument);
		return usage(err, "a number from 0 to 1000");
	}
	o->hops_max = (unsigned)hops;
	return 0;
}

static int
set_mode(struct options *o, char letter, char *argument, struct error *err)
{
	if (letter == 'I') {
		o->mode = MODE_ALIASES;
		return 0;
	}
	for (size_t i = 0; i < COUNT(modes); i++) {
		if (argument[0] != modes[i].letter || argument[1] != '\0')
			continue;
		if (modes[i].refusal != NULL) {
			error_set(err, EX_USAGE, "5.5.1", "-b%c: %s",
			    modes[i].letter, modes[i].refusal);
			return usage(
			    err, strchr("dDl", *argument) == NULL
				     ? NULL
				     : "have the queue run by a timer, or by "
				       "'sendmail -q5m' in the foreground");
		}
		o->mode = modes[i].mode;
		return 0;
	}
	error_set(err, EX_USAGE, "5.5.1", "-b does not know the mode '%.60s'",
	    argument);
	return usage(err, NULL);
}

/* All of them tell on standard error and by the exit status: an error that
 * ends with 0, as 'e' has it, is one that nobody sees. 'w' would look for the
 * caller's terminal, which standard error is. */
static int
set_error_mode(
    struct options *o, char letter, char *argument, struct error *err)
{
	(void)letter;
	if (*argument == '=')
		argument++;
	if (*argument != '\0' && strchr("mpqwe", *argument) != NULL) {
		o->mail_errors = strchr("mwe", *argument) != NULL;
		return 0;
	}
	error_set(
	    err, EX_USAGE, "5.5.4", "there is no error mode '%.60s'", argument);
	return usage(err, "it is one of m, p, q, w, e");
}

/* 'i' and 'b' send before we return, which is more than 'b' asks for; 'q' and
 * 'd' leave it to the queue. By name they are whole words: "queue". */
static int
set_delivery(struct options *o, char letter, char *argument, struct error *err)
{
	(void)letter;
	if (*argument != '\0' && strchr("ibqd", *argument) == NULL) {
		error_set(err, EX_USAGE, "5.5.4",
		    "there is no delivery mode '%.60s'", argument);
		return usage(err, "it is one of i, b, q, d");
	}
	o->queue_only = *argument == 'q' || *argument == 'd';
	return 0;
}

static int
set_no_recipient(
    struct options *o, char letter, char *argument, struct error *err)
{
	static const struct {
		const char *name;
		enum options_no_recipient action;
	} actions[] = {
		{ "none", NO_RECIPIENT_NONE },
		{ "add-to", NO_RECIPIENT_TO },
		{ "add-apparently-to", NO_RECIPIENT_TO },
		{ "add-bcc", NO_RECIPIENT_NONE }, /* Bcc does not travel */
		{ "add-to-undisclosed", NO_RECIPIENT_UNDISCLOSED },
	};

	(void)letter;
	for (size_t i = 0; i < COUNT(actions); i++) {
		if (strcasecmp(argument, actions[i].name) != 0)
			continue;
		o->no_recipient = actions[i].action;
		return 0;
	}
	error_set(err, EX_USAGE, "5.5.4",
	    "NoRecipientAction does not know '%.60s'", argument);
	return usage(err, "it is one of none, add-to, add-apparently-to, "
			  "add-bcc, add-to-undisclosed");
}

static int
apply_setting(struct options *o, size_t i, char *value, struct error *err)
{
	return settings[i].handler(o, settings[i].letter, value, err);
}

static int
set_short_option(
    struct options *o, char letter, char *argument, struct error *err)
{
	(void)letter;
	for (size_t i = 0; i < COUNT(settings); i++)
		if (*argument != '\0' && *argument == settings[i].letter)
			return apply_setting(o, i, argument + 1, err);
	return 0;
}

static int
set_long_option(
    struct options *o, char letter, char *argument, struct error *err)
{
	size_t len = strcspn(argument, "=");
	char nothing[1] = "";
	char *value = argument[len] == '=' ? argument + len + 1 : nothing;

	(void)letter;
	for (size_t i = 0; i < COUNT(settings); i++)
		if (strlen(settings[i].name) == len &&
		    strncasecmp(argument, settings[i].name, len) == 0)
			return apply_setting(o, i, value, err);
	return 0;
}

/* "30s", "5m", "1h30m", "1d"; a number alone is minutes. 0 for no such. */
static unsigned
parse_interval(const char *text)
{
	static const struct {
		char unit;
		unsigned seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 },
		{ 'w', 604800 }, { '\0', 60 } };
	unsigned long total = 0;

	while (*text != '\0') {
		size_t digits = strspn(text, "0123456789"), i = 0;
		unsigned long number = strtoul(text, NULL, 10);

		if (digits == 0 || digits > 6)
			return 0;
		text += digits;
		while (i < COUNT(units) && units[i].unit != *text)
			i++;
		if (i == COUNT(units))
			return 0;
		total += number * units[i].seconds;
		text += *text != '\0';
	}
	return total <= INTERVAL_MAX ? (unsigned)total : 0;
}

static int
set_queue(struct options *o, char letter, char *argument, struct error *err)
{
	(void)letter;
	o->mode = MODE_QUEUE;
	if (argument == NULL)
		return 0;
	if (strcmp(argument, "f") == 0) {
		o->force = true;
		return 0;
	}
	if (isdigit((unsigned char)*argument) &&
	    (o->interval = parse_interval(argument)) > 0)
		return 0;
	if (o->pattern_count == OPTIONS_PATTERNS_MAX) {
		error_set(err, EX_USAGE, "5.5.4",
		    "-q is given more than %d times", OPTIONS_PATTERNS_MAX);
		return usage(err, "run the queue several times");
	}
	if (pattern_valid(argument)) {
		o->patterns[o->pattern_count++] = argument;
		return 0;
	}
	error_set(err, EX_USAGE, "5.5.4", "-q does not know '%.60s'", argument);
	return usage(err, "it takes f, a time such as 5m, or [!]I, R or S with "
			  "a part of an id, a recipient or a sender");
}

static int
set_debug(struct options *o, char letter, char *argument, struct error *err)
{
	(void)letter;
	(void)err;
	if (argument != NULL && strncmp(argument, "0.", 2) == 0)
		o->version = true;
	return 0;
}

static int
set_tag(struct options *o, char letter, char *argument, struct error *err)
{
	(void)letter;
	(void)err;
	(void)log_tag(o->tag, argument);
	return 0;
}

/* Whoever can put words into a command line, as into the fifth argument of
 * PHP's mail(), could else have the token sent to a host of his own. */
static int
refuse_config(struct options *o, char letter, char *argument, struct error *err)
{
	(void)o;
	(void)letter;
	(void)argument;
	error_set(err, EX_NOPERM, "5.7.0",
	    "-C is refused: no command line names the configuration");
	return error_hint(err,
	    "a copy without set-id bits reads the file that OUTPOST_CONFIG "
	    "names, a system installation reads %s alone",
	    CONFIG_SYSTEM_PATH);
}

static int
ignore(struct options *o, char letter, char *argument, struct error *err)
{
	(void)o;
	(void)letter;
	(void)argument;
	(void)err;
	return 0;
}

static int
ignore_file(struct options *o, char letter, char *argument, struct error *err)
{
	(void)letter;
	(void)err;
	o->ignored_file = argument;
	return 0;
}

static void
make_optstring(char out[OPTSTRING_SIZE])
{
	*out++ = '+';
	for (size_t i = 0; i < COUNT(table); i++) {
		*out++ = table[i].letter;
		if (table[i].argument != NONE)
			*out++ = ':';
		if (table[i].argument == ATTACHED)
			*out++ = ':';
	}
	*out = '\0';
}

static const struct option *
find(int letter)
{
	for (size_t i = 0; i < COUNT(table); i++)
		if (table[i].letter == letter)
			return &table[i];
	return NULL;
}

static int
unknown(int letter, struct error *err)
{
	const struct option *known = find(letter);

	if (known != NULL)
		error_set(err, EX_USAGE, "5.5.4", "-%c needs an argument: %s",
		    letter, known->what);
	else if (letter == '-')
		error_set(err, EX_USAGE, "5.5.4", "there are no long options");
	else
		error_set(err, EX_USAGE, "5.5.4", "unknown option -%c",
		    isprint(letter) ? letter : '?');
	return usage(err, NULL);
}

static int
set_mode_by_name(struct options *o, const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;

	for (size_t i = 0; i < COUNT(names); i++) {
		char mode[2] = { names[i].mode[0], '\0' };

		if (strcmp(name, names[i].name) == 0)
			return set_mode(o, 'b', mode, err);
	}
	return 0;
}

/* A local user is not called so; it is an option in the wrong place. */
static int
check_words(const struct options *o, struct error *err)
{
	for (size_t i = 0; i < o->recipient_count; i++) {
		const char *word = o->recipients[i];

		if (*word != '-' || strchr(word, '@') != NULL)
			continue;
		error_set(err, EX_USAGE, "5.5.4",
		    "'%.60s' is behind the options and no address", word);
		return usage(err, "options come before all recipients");
	}
	return 0;
}

/* What sends nothing takes no recipients: an exit status of 0 would tell that
 * they have the message. */
static int
check_recipients(const struct options *o, struct error *err)
{
	switch (o->mode) {
	case MODE_SMTP:
		if (o->recipient_count == 0)
			return 0;
		error_set(err, EX_USAGE, "5.5.4",
		    "-bs takes recipients by SMTP, not as arguments");
		return usage(err, "leave them out");
	case MODE_NOTHING:
	case MODE_QUEUE:
	case MODE_MAILQ:
	case MODE_MAILQ_COUNT:
	case MODE_ALIASES:
		if (o->recipient_count == 0 && !o->recipients_from_header)
			return 0;
		error_set(err, EX_USAGE, "5.5.4",
		    "no message is sent by -q, -bp, -bP, -bi, -bh and -bH, so "
		    "there are no recipients");
		return usage(err, "leave them, and -t, out");
	default:
		return check_words(o, err);
	}
}

/* What is asked for by all the options together. */
static int
settle_mode(struct options *o, struct error *err)
{
	bool message = o->recipient_count > 0 || o->recipients_from_header;

	if (o->version &&
	    (o->mode == MODE_RULES || (o->mode == MODE_MESSAGE && !message)))
		o->mode = MODE_VERSION;
	if (o->mode == MODE_RULES) {
		error_set(
		    err, EX_USAGE, "5.5.1", "-bt: there are no rules to test");
		return usage(err, NULL);
	}
	return check_recipients(o, err);
}

int
options_parse(struct options *out, int argc, char **argv, struct error *err)
{
	struct options options = { .mode = MODE_MESSAGE };
	char letters[OPTSTRING_SIZE];
	int letter;

	if (argc > 0 && set_mode_by_name(&options, argv[0], err) == -1)
		return -1;
	make_optstring(letters);
	opterr = 0;
	optind = 0;
	while ((letter = getopt(argc, argv, letters)) != -1) {
		const struct option *option = find(letter);

		if (letter == '?' || option == NULL)
			return unknown(optopt, err);
		if (option->handler(&options, option->letter, optarg, err) ==
		    -1)
			return -1;
	}
	options.recipients = argv + optind;
	options.recipient_count = (size_t)(argc - optind);
	if (settle_mode(&options, err) == -1)
		return -1;
	*out = options;
	return 0;
}
