/*
 * Certless over a socket of POSIX: HTTP/1.1, a clock, random numbers and a state file.
 *
 * `buffer` has to fit the longest message, in both directions. An HTTP request that got no answer,
 * or an error outside the seal, proves nothing: the request may have been handled.
 */
#ifndef CERTLESS_POSIX_H
#define CERTLESS_POSIX_H

#include "certless.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The gateway. Each exchange opens a connection and closes it. */
typedef struct certless_link {
    const char *host;            /* a name or an address; IPv6 without brackets */
    const char *port;            /* "80" */
    const char *prefix;          /* CERTLESS_PREFIX, or what the operator set */
    unsigned timeout_ms;         /* of one exchange; a look-up of the name comes on top */
    unsigned status;             /* of the last HTTP response; 0 if none came */
    unsigned retry_after_s;      /* of the last HTTP response */
} certless_link;

/* Milliseconds of a clock that also counts while the machine sleeps, if the system has one. */
uint64_t certless_now_ms(void);

/* For certless_config: random bytes of the system. Ignores `context`. */
int certless_random(void *context, uint8_t *out, size_t length);

/* A file of mode 0600 with the state, and a lock, so that one process at a time uses it. */
typedef struct certless_file {
    const char *path;
    int lock;
} certless_file;

/* Take the lock `path`.lock until the process ends. CERTLESS_STATE_IN_USE if another one has it. */
certless_error certless_file_open(certless_file *file, const char *path);

/* For certless_config, with a certless_file as its context. */
int certless_file_save(void *file, const uint8_t *state, size_t length);

/* certless_load from the file. CERTLESS_NO_TICKET if there is no file. */
certless_error certless_file_load(const certless_file *file, certless_client *client);

/*
 * POST the first `*length` bytes of `buffer` to `route` below the prefix, and put the body of the
 * response in their place. CERTLESS_HTTP_REFUSED if the status is not 200: see link->status.
 */
certless_error certless_post(certless_link *link, const char *route, uint8_t *buffer,
                             size_t capacity, size_t *length);

/* The two halves of a login. Between them, a person enters the code. */
certless_error certless_request_login(certless_link *link, certless_client *client, uint8_t *buffer,
                                      size_t capacity);
certless_error certless_submit_code(certless_link *link, certless_client *client, const char *typed,
                                    uint8_t *buffer, size_t capacity);

certless_error certless_resume(certless_link *link, certless_client *client, uint8_t *buffer,
                               size_t capacity);

/*
 * One request and its response, which is in `buffer`. `request->host` of NULL stands for the host
 * of `link`. After CERTLESS_CLOCK_CORRECTED and CERTLESS_EPOCH_ENDED the request is sent once more,
 * because it was not handled.
 */
certless_error certless_send(certless_link *link, certless_client *client,
                             const certless_request *request, uint8_t *buffer, size_t capacity,
                             certless_response *response);

/* Put the next bytes of a body into `out`; a length of 0 ends it. Not 0: stop. */
typedef int certless_give(void *context, uint8_t *out, size_t capacity, size_t *length);

/* Take verified bytes of a body. They are the whole body only after CERTLESS_OK. Not 0: stop. */
typedef int certless_take(void *context, const uint8_t *data, size_t length);

/*
 * A request whose response has any length, as pieces for `take`. `buffer` has at least 8192 bytes;
 * half of it is for the head of the response, to which `response` points. The timeout of `link`
 * limits each pause. CERTLESS_STREAM_BROKEN: the body is not complete.
 */
certless_error certless_download(certless_link *link, certless_client *client,
                                 const certless_request *request, certless_take *take,
                                 void *context, uint8_t *buffer, size_t capacity,
                                 certless_response *response);

/*
 * A request with a body of any length, in pieces from `give`; `body_length` can be
 * CERTLESS_UNKNOWN_LENGTH. request->body is not used. The response is as above.
 * CERTLESS_NO_ANSWER: nothing shows that the server has received the whole body.
 */
certless_error certless_upload(certless_link *link, certless_client *client,
                               const certless_request *request, uint64_t body_length,
                               certless_give *give, certless_take *take, void *context,
                               uint8_t *buffer, size_t capacity, certless_response *response);

#ifdef __cplusplus
}
#endif

#endif
