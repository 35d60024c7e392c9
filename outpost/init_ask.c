#include "outpost/init.h"

#include <ctype.h>
#include <stdio.h>
#include <sysexits.h>

#include "account/config.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/xalloc.h"
#include "mail/address.h"
#include "outpost/show.h"

/* Where Azure's Kubernetes puts it. */
#define WORKLOAD_TOKEN "/var/run/secrets/azure/tokens/azure-identity-token"

/* A line from the terminal, without blanks around it; NULL at its end. */
static char *
ask(const char *question, const char *standard)
{
	char *line = NULL, *start;
	size_t size = 0, len;

	if (standard != NULL)
		printf("%s [%s]: ", question, standard);
	else
		printf("%s: ", question);
	(void)fflush(stdout);
	if (getline(&line, &size, stdin) == -1) {
		free(line);
		return NULL;
	}
	start = line + strspn(line, " \t");
	len = strcspn(start, "\r\n");
	while (len > 0 && isspace((unsigned char)start[len - 1]))
		len--;
	if (len == 0 && standard != NULL)
		start = xstrdup(standard);
	else
		start = xstrndup(start, len);
	free(line);
	return start;
}

static int
no_answer(struct error *err)
{
	return error_set(
	    err, EX_USAGE, "5.3.0", "no answer: nothing is written");
}

/* What questions are about, and what stands for the answer until then. */
static const struct {
	const char *key;
	bool main;
	const char *standard;
} asked[] = {
	{ "admin", true, NULL },
	{ "cloud", false, NULL },
	{ "auth", false, NULL },
	{ "tenant", false, "x" },
	{ "client_id", false, "x" },
};

/* There is no such file, nor its line. */
static void
drop_place(struct error *err)
{
	const char *end = strstr(err->text, ": ");

	if (strncmp(err->text, "answer:", strlen("answer:")) == 0 &&
	    end != NULL)
		memmove(err->text, end + 2, strlen(end + 2) + 1);
}

static bool
is_mailbox(const char *text)
{
	return text != NULL && address_smtp_safe(text, NULL, NULL) == 0;
}

/* Would a configuration be right that says what is known, and in 'key' the
 * answer? */
static int
try_answer(const struct init *init, const char *key, const char *answer,
    struct error *err)
{
	const char *value;
	struct config config;
	struct buf text;
	int result;

	buf_init(&text, CONFIG_FILE_MAX);
	for (int account = 0; account < 2; account++) {
		(void)buf_addf(&text, "[%s]\n",
		    account == 0                ? "outpost"
		    : is_mailbox(init->mailbox) ? init->mailbox
						: "a@b.example");
		for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
			value = init_get(init, asked[i].key);
			if (key != NULL && strcmp(asked[i].key, key) == 0)
				value = *answer != '\0' ? answer : NULL;
			else if (value == NULL)
				value = asked[i].standard;
			if (value != NULL && asked[i].main == (account == 0))
				(void)buf_addf(
				    &text, "%s = %s\n", asked[i].key, value);
		}
	}
	(void)buf_adds(&text, "client_secret_file = /x\ncertificate = /x\n"
			      "federated_token_file = /x\n");
	config_init(&config);
	result = config_take(&config, "answer", text.data, text.len, err);
	if (result == -1)
		drop_place(err);
	config_release(&config);
	buf_release(&text);
	return result;
}

static void
show_why(const struct error *why)
{
	show(SHOW_YELLOW, 0, why->text);
	printf("\n");
	if (*why->hint == '\0')
		return;
	printf("  hint: ");
	show(SHOW_PLAIN, 0, why->hint);
	printf("\n");
}

static int
ask_for(struct init *init, const char *key, const char *question,
    const char *standard, struct error *err)
{
	struct error why;
	char *answer;

	if (init_get(init, key) != NULL)
		return 0;
	for (;;) {
		if ((answer = ask(question, standard)) == NULL)
			return no_answer(err);
		if (try_answer(init, key, answer, &why) == 0)
			break;
		show_why(&why);
		free(answer);
	}
	init_set(init, strcmp(key, "admin") == 0, key, answer);
	free(answer);
	return 0;
}

static int
ask_mailbox(struct init *init, struct error *err)
{
	while (!is_mailbox(init->mailbox)) {
		char *answer;

		if (init->mailbox != NULL) {
			show(SHOW_YELLOW, 0, init->mailbox);
			printf(" is not a mail address\n");
		}
		answer = ask("The mailbox that sends, as in "
			     "alerts@contoso.com",
		    NULL);
		if (answer == NULL)
			return no_answer(err);
		init_set(init, false, "mailbox", answer);
		free(answer);
	}
	return 0;
}

static int
ask_credential(struct init *init, struct error *err)
{
	const char *auth = init_get(init, "auth");
	char *folder = init_secrets_folder(init), *standard = NULL;
	int result = 0;

	if (auth != NULL && strcmp(auth, "secret") == 0) {
		standard = xasprintf("%s/app-secret", folder);
		result = ask_for(init, "client_secret_file",
		    "The file that holds the client secret", standard, err);
	} else if (auth != NULL && strcmp(auth, "certificate") == 0) {
		standard = xasprintf("%s/app.pem", folder);
		result = ask_for(init, "certificate",
		    "The file with certificate and key, in PEM", standard, err);
	} else if (auth != NULL && strcmp(auth, "workload-identity") == 0)
		result = ask_for(init, "federated_token_file",
		    "The file where the platform keeps the token",
		    WORKLOAD_TOKEN, err);
	free(standard);
	free(folder);
	return result;
}

int
init_ask(struct init *init, struct error *err)
{
	/* What flags say wrong is told before anything is asked. */
	if (try_answer(init, NULL, NULL, err) == -1 ||
	    ask_mailbox(init, err) == -1 ||
	    ask_for(init, "auth",
		"How it gets its tokens: login, secret, certificate, "
		"managed-identity or workload-identity",
		"login", err) == -1 ||
	    ask_for(init, "tenant",
		"Tenant, its id or domain (nothing for outlook.com and "
		"managed-identity)",
		NULL, err) == -1 ||
	    ask_for(init, "client_id", "Client id of the application", NULL,
		err) == -1 ||
	    ask_credential(init, err) == -1)
		return -1;
	return ask_for(init, "admin",
	    "Who gets mail for root and other local users (nothing: the "
	    "mailbox)",
	    NULL, err);
}
