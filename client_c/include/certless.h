/*
 * Certless: encrypted, authenticated HTTP where TLS cannot go. A client in C99 for devices.
 *
 * It speaks the suite ecdh-gcm of spec/PROTOCOL.md in msgpack. It allocates nothing, has no globals
 * and does no I/O: the caller passes every buffer and moves the bytes. certless_posix.h does that
 * over a socket. A client is used by one thread at a time.
 *
 * A login, with a code that an operator issued. Send each message by POST to certless_route():
 *
 *     certless_begin_login(&client, out, sizeof out, &n);                  ClientHello
 *     certless_receive_hello(&client, in, in_n);                           ServerHello
 *     certless_enter_code(&client, "7K3Q-WXYZ", out, sizeof out, &n);      ClientShare
 *     certless_receive_share(&client, in, in_n, out, sizeof out, &n);      ClientConfirmation
 *     certless_receive_confirmation(&client, now_ms, in, in_n);            the session is open
 *
 * Later, with the ticket that the login has stored:
 *
 *     certless_load(&client, now_ms, state, sizeof state);
 *     certless_begin_resumption(&client, out, sizeof out, &n);             ResumptionClientHello
 *     certless_receive_share(...); certless_receive_confirmation(...);     as above
 *
 * Then messages, one at a time:
 *
 *     certless_seal(&client, now_ms, &request, out, sizeof out, &n);
 *     certless_open(&client, now_ms, in, in_n, &response);
 *
 * After an error, certless_after_resumption and certless_after_message say what a device does next
 * if no person is there.
 *
 * `in` is a buffer that the client decrypts in place. Lengths are in bytes. If an output buffer is
 * too small, the result is CERTLESS_BUFFER_TOO_SMALL, the length says how many bytes it needs, and
 * nothing has changed.
 *
 * `now_ms` is the time of a clock in milliseconds that never goes back, for example the time since
 * the device was started. It needs not be the time of day: the server tells its time at each login.
 * The clock has to count while the device sleeps. Otherwise the client cannot tell how old a
 * message is, and sends a message again that it must not send again (PROTOCOL §2.6.6).
 */
#ifndef CERTLESS_H
#define CERTLESS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CERTLESS_PREFIX "/.gateway"        /* of all routes, unless the operator set another one */
#define CERTLESS_DEFAULT_REALM "certless"
#define CERTLESS_CONTENT_TYPE "application/msgpack"
#define CERTLESS_STATE_BYTES 162u          /* of the state that certless_save stores */
#define CERTLESS_LOGIN_BYTES 4352u         /* a buffer of this size fits every message of a login,
                                              if the username has at most 1024 bytes */
#define CERTLESS_SEAL_BYTES 128u           /* a sealed message is at most this much longer than
                                              method, target, headers and body, plus 6 bytes for
                                              each header */
#define CERTLESS_MAX_NAME_BYTES 1024u      /* of a username and of a realm */
#define CERTLESS_MAX_DEVICE_BYTES 64u      /* of the name of a device */

/* The result of a call. certless_error_text has a sentence for each. */
typedef enum certless_error {
    CERTLESS_OK = 0,

    /* mistakes of the caller, and of the device */
    CERTLESS_BAD_ARGUMENT,
    CERTLESS_BAD_REQUEST,
    CERTLESS_WRONG_ORDER,
    CERTLESS_BUFFER_TOO_SMALL,
    CERTLESS_NO_ENTROPY,
    CERTLESS_NOT_SAVED,
    CERTLESS_BAD_STATE,
    CERTLESS_NO_TICKET,
    CERTLESS_NO_CODE,

    /* what is wrong with the bytes that came */
    CERTLESS_MALFORMED,
    CERTLESS_UNSUPPORTED_SUITE,
    CERTLESS_BAD_POINT,
    CERTLESS_CODE_REFUSED,
    CERTLESS_TICKET_REFUSED,
    CERTLESS_BAD_SEAL,

    /* sealed refusals of the server, and the end of the session */
    CERTLESS_CLOCK_CORRECTED,
    CERTLESS_CLOCK_REFUSED,
    CERTLESS_EPOCH_ENDED,
    CERTLESS_SESSION_ENDED,

    /* of streams */
    CERTLESS_STREAM_BROKEN,
    CERTLESS_STREAM_ABORTED,

    /* of certless_posix.h */
    CERTLESS_STATE_IN_USE,
    CERTLESS_NO_CONNECTION,
    CERTLESS_NO_ANSWER,
    CERTLESS_HTTP_REFUSED
} certless_error;

/* What an error means, and what to do next: one sentence in English, without secrets. */
const char *certless_error_text(certless_error error);

/* How the server sees that a message is fresh (PROTOCOL §2.6.4). */
typedef enum certless_fresh {
    CERTLESS_CLOCK = 1,    /* by its time; the device needs a clock that runs all the time */
    CERTLESS_COUNTER = 2   /* by its number; the session survives a restart of the device */
} certless_fresh;

/* Fill `out` with random bytes for keys. 0 if that is done; any other value stops the call. */
typedef int certless_entropy(void *context, uint8_t *out, size_t length);

/*
 * Store `state` in place of what was stored before, and return 0 after it is stored for good. The
 * change has to be atomic: after a power cut, the old state or the new state is there as a whole.
 * The client calls this before it uses the ticket, the keys or the numbers in `state`: once in each
 * login and resumption. With CERTLESS_COUNTER it also calls it in every 1024th message and for each
 * new key, which is about every 15 minutes of use.
 */
typedef int certless_save(void *context, const uint8_t *state, size_t length);

/* Who logs in where, and what the device offers. It has to exist as long as the client. */
typedef struct certless_config {
    const char *username;        /* UTF-8, as the operator wrote it */
    const char *realm;           /* the realm of the gateway, or CERTLESS_DEFAULT_REALM */
    certless_fresh fresh;
    certless_entropy *entropy;
    certless_save *save;
    void *context;               /* passed to entropy and save */
    const char *device;          /* a login with the code of this device; NULL: a code of the user.
                                    1 to 64 of A-Z, a-z, 0-9, '.', '_', ':' and '-', of which the
                                    first is a letter or a digit */
} certless_config;

/* The keys and the numbers of an open session. Private: do not use the members. */
typedef struct certless_session {
    uint8_t id[16];
    uint8_t c2s[32], s2c[32];    /* the keys of this epoch */
    uint32_t epoch;
    uint8_t is_open, heard, next_epoch_due;
    int64_t offset_ms;           /* server's clock minus this clock */
    uint64_t expires_ms, epoch_started_ms;
    uint64_t sequence;           /* the number of the last message */
    uint64_t reserved;           /* the stored state allows numbers up to this one */
} certless_session;

/* A login or a resumption that has not ended. Private. */
typedef struct certless_handshake {
    uint8_t stage;
    uint8_t has_login, resumes;
    uint8_t id[16];
    uint8_t greeting[32];        /* cn, later th0 */
    uint8_t server_nonce[32];
    uint8_t w[32], x[32], point[65];
    uint8_t th[32], shared[32];
    uint8_t confirm_client[32], confirm_server[32];
    uint8_t shared_length;
} certless_handshake;

/* The message that waits for its answer. Private. */
typedef struct certless_pending {
    uint8_t is_open;
    uint8_t tag[16];
    uint32_t record_bytes;       /* the longest record that is accepted; 0 if no stream is */
    uint64_t value, sealed_ms;
} certless_pending;

/* A client. Private members; no pointers to itself, so it can be kept in memory that survives sleep. */
typedef struct certless_client {
    const certless_config *config;
    uint8_t has_ticket;
    uint8_t ticket[16], secret[32];
    certless_session session;
    certless_handshake handshake;
    certless_pending pending;
} certless_client;

/* Prepare `client`. It has no ticket and no session. */
certless_error certless_init(certless_client *client, const certless_config *config);

/*
 * Take over what certless_save stored. With CERTLESS_COUNTER an open session continues, with
 * numbers that were never used. With CERTLESS_CLOCK the ticket alone is stored: resume.
 */
certless_error certless_load(certless_client *client, uint64_t now_ms, const uint8_t *state,
                             size_t length);

/* 1 if there is a ticket: certless_begin_resumption is possible. */
int certless_has_ticket(const certless_client *client);

/* 1 if there is a session that has not ended by `now_ms`. The server can end it earlier. */
int certless_has_session(const certless_client *client, uint64_t now_ms);

/* Overwrite all keys. What was stored stays: erase it too after a logout. */
void certless_wipe(certless_client *client);

/* The path below the prefix for the last message of a login or resumption, for example "/session/hello". */
const char *certless_route(const certless_client *client);

certless_error certless_begin_login(certless_client *client, uint8_t *out, size_t capacity,
                                    size_t *length);

certless_error certless_receive_hello(certless_client *client, uint8_t *in, size_t in_length);

/*
 * A code as a person types it: upper or lower case, with spaces, dashes and other ASCII characters
 * that are no letters and digits. Each call uses up one of the five attempts of the code, so call
 * it once for each code that a person enters. After a wrong code it can be called again.
 */
certless_error certless_enter_code(certless_client *client, const char *typed, uint8_t *out,
                                   size_t capacity, size_t *length);

/* CERTLESS_NO_TICKET if nothing is stored. An answer that is lost costs nothing: begin again. */
certless_error certless_begin_resumption(certless_client *client, uint8_t *out, size_t capacity,
                                         size_t *length);

/* ServerShare in a login, ResumptionServerHello in a resumption; writes ClientConfirmation. */
certless_error certless_receive_share(certless_client *client, uint8_t *in, size_t in_length,
                                      uint8_t *out, size_t capacity, size_t *length);

/*
 * ServerConfirmation. The server has proven that it knows the code or the secret of the ticket. The
 * next ticket is stored before this returns CERTLESS_OK. After CERTLESS_NOT_SAVED there is no new
 * session, and the earlier ticket is still good.
 */
certless_error certless_receive_confirmation(certless_client *client, uint64_t now_ms, uint8_t *in,
                                             size_t in_length);

/* A header field of a request. The strings are UTF-8. */
typedef struct certless_header {
    const char *name;
    const char *value;
} certless_header;

/* A request. `host` is the host of the URL, with its port unless it is 80; it may be NULL. */
typedef struct certless_request {
    const char *method;
    const char *target;          /* path and query */
    const char *host;
    const certless_header *headers;
    size_t header_count;
    const void *body;            /* must not overlap `out` */
    size_t body_length;
} certless_request;

/* A text in the buffer of a message, without a zero at its end. */
typedef struct certless_text {
    const char *start;
    size_t length;
} certless_text;

/* A response. Its parts are in the buffer that certless_open has decrypted. */
typedef struct certless_response {
    unsigned status;
    size_t header_count;
    const uint8_t *headers;      /* for certless_next_header */
    size_t headers_length;
    const uint8_t *body;
    size_t body_length;
} certless_response;

/*
 * Seal a request into `out`. The answer to an earlier request is not accepted after this.
 * CERTLESS_NOT_SAVED: nothing was sealed.
 */
certless_error certless_seal(certless_client *client, uint64_t now_ms,
                             const certless_request *request, uint8_t *out, size_t capacity,
                             size_t *length);

/*
 * Open the answer to the last request, once. A lost or a wrong answer does not prove that the
 * request was not handled. Three errors are sealed answers of the server:
 *
 * CERTLESS_CLOCK_CORRECTED, CERTLESS_EPOCH_ENDED: the request was not handled. Seal it once more.
 * CERTLESS_CLOCK_REFUSED: the clock is corrected, but the request may have been handled. Do not
 * send it again automatically, unless handling it twice does no harm.
 */
certless_error certless_open(certless_client *client, uint64_t now_ms, uint8_t *in,
                             size_t in_length, certless_response *response);

/* The next header field. 0 if there is none. Begin with a response that certless_open filled. */
int certless_next_header(certless_response *response, certless_text *name, certless_text *value);

/* Which error, and what HTTP said; `status` is 0 if no response came. */
typedef struct certless_failure {
    certless_error error;
    unsigned status;
    unsigned retry_after_s;      /* of Retry-After; 0 if there was none */
} certless_failure;

/* The failures in a row. Set it to zeros after a message that was answered. */
typedef struct certless_retry {
    uint8_t failures, refusals;
} certless_retry;

/* What a device does next. */
typedef enum certless_remedy {
    CERTLESS_TRY_AGAIN = 1,      /* after the wait: resume if there is no session, then send */
    CERTLESS_ASK_FOR_CODE,       /* a person has to log it in with a new code */
    CERTLESS_REPAIR              /* the program, the storage or the random numbers failed */
} certless_remedy;

#define CERTLESS_MAX_REFUSALS 15u

/*
 * After each error of a resumption, and of a message. `wait_ms` grows from 1 s to 5 minutes and is
 * partly random, so that not all devices of a plant come at the same time. It is at least
 * `retry_after_s`, but no more than an hour and a quarter.
 *
 * CERTLESS_ASK_FOR_CODE: the gateway has refused the ticket 15 times in a row, with status 403. With
 * these waits that takes about 25 minutes. The gateway has revoked or forgotten the ticket, or
 * somebody on the network writes such answers: they are not sealed. Stop, and tell a person. The
 * ticket stays stored.
 *
 * The second closes the session after status 403: resume. Whether a message may be sent again is
 * for the program to decide: one that failed may have been handled.
 */
certless_remedy certless_after_resumption(const certless_client *client, certless_retry *retry,
                                          const certless_failure *failure, uint32_t *wait_ms);
certless_remedy certless_after_message(certless_client *client, certless_retry *retry,
                                       const certless_failure *failure, uint32_t *wait_ms);

/*
 * Streams: bodies of any length, in records that fit into a small buffer (PROTOCOL §2.10).
 *
 * A long response, for example firmware. Seal the request with certless_seal_for_stream, and POST
 * it to "/message". If the Content-Type of the response is CERTLESS_STREAM_TYPE, its body is a
 * length in four bytes, big-endian, a message of that length for certless_open_stream, and then
 * records. Otherwise the body is a message for certless_open_stream, and the response is whole.
 *
 * A long request. Seal it with certless_seal_upload, and POST it to "/stream". If the answer opens
 * a stream, POST records to certless_stream_route with CERTLESS_STREAM_TYPE: the data, then the
 * end. The response is 16 bytes for certless_salt_stream, and then records.
 *
 * A body is complete only if certless_end_stream says so after the last byte has come. Every other
 * end is an error. Firmware that is not complete is not firmware.
 */
#define CERTLESS_STREAM_TYPE "application/certless-stream"
#define CERTLESS_MIN_RECORD_BYTES 4096u    /* the least record_bytes that a receiver can ask for */
#define CERTLESS_MAX_RECORD_BYTES 65536u
#define CERTLESS_RECORD_OVERHEAD 42u       /* an output buffer needs this much more than the data */
#define CERTLESS_STREAM_ROUTE_BYTES 41u
#define CERTLESS_UNKNOWN_LENGTH UINT64_MAX

/* One direction of a stream: its key, and how many records it had. Private. */
typedef struct certless_records {
    uint8_t key[32];
    uint64_t counter, key_since_ms;
    uint32_t key_records, key_bytes, limit;
    uint8_t direction, is_over;
} certless_records;

/* An open stream. Private, except is_open. */
typedef struct certless_stream {
    uint8_t is_open;             /* 1 if the answer has opened the stream */
    uint8_t id[16];
    certless_records sent, received;
    uint8_t *head;               /* of the caller, for the head of the response */
    size_t head_capacity, head_length;
    uint64_t length, body_received;
    uint8_t has_head, has_length, is_bodiless, is_broken, is_complete, held;
} certless_stream;

/* What a record has brought. */
typedef enum certless_event {
    CERTLESS_NOTHING,            /* nothing for the program */
    CERTLESS_HEAD,               /* status, headers and length of the response */
    CERTLESS_DATA,               /* the next bytes of the body */
    CERTLESS_END                 /* the last bytes of the body, if any; then certless_end_stream */
} certless_event;

typedef struct certless_part {
    certless_event event;
    const uint8_t *data;         /* in the buffer of the record, or in the stream */
    size_t length;
    certless_response response;  /* with CERTLESS_HEAD; without a body, and in the buffer `head` */
    uint8_t request_verified;    /* with CERTLESS_END: 1 if the server has read the whole request */
} certless_part;

/*
 * As certless_seal. `record_bytes` is the longest record that this side accepts. In streams, each
 * byte of a header value is one character: write a byte above 127 as the UTF-8 of U+0080 to U+00FF.
 */
certless_error certless_seal_for_stream(certless_client *client, uint64_t now_ms,
                                        const certless_request *request, uint32_t record_bytes,
                                        uint8_t *out, size_t capacity, size_t *length);

/* A request whose body follows. `body_length` is its length, or CERTLESS_UNKNOWN_LENGTH. */
certless_error certless_seal_upload(certless_client *client, uint64_t now_ms,
                                    const certless_request *request, uint64_t body_length,
                                    uint32_t record_bytes, uint8_t *out, size_t capacity,
                                    size_t *length);

/* As certless_open. If it has opened a stream, stream->is_open is 1 and `response` is empty. */
certless_error certless_open_stream(certless_client *client, uint64_t now_ms, uint8_t *in,
                                    size_t in_length, certless_response *response,
                                    certless_stream *stream);

/* Where the head of the response is collected. `is_bodiless`: the method of the request is HEAD. */
void certless_await_response(certless_stream *stream, uint8_t *head, size_t capacity,
                             int is_bodiless);

/* "/stream/" and the id of the stream, with a zero at its end. */
void certless_stream_route(const certless_stream *stream, char route[CERTLESS_STREAM_ROUTE_BYTES]);

/* The first 16 bytes of the response to an upload. */
void certless_salt_stream(certless_stream *stream, const uint8_t salt[16]);

/* The most data for certless_send_data. */
size_t certless_max_data(const certless_stream *stream);

/*
 * Write one record. `capacity` is at least the data and CERTLESS_RECORD_OVERHEAD. `data` may be in
 * `out`.
 */
certless_error certless_send_data(certless_stream *stream, uint64_t now_ms, const void *data,
                                  size_t data_length, uint8_t *out, size_t capacity,
                                  size_t *length);
/* Sends nothing, but shows that this side is there while it has no data. */
certless_error certless_send_ping(certless_stream *stream, uint64_t now_ms, uint8_t *out,
                                  size_t capacity, size_t *length);
certless_error certless_send_end(certless_stream *stream, uint64_t now_ms, uint8_t *out,
                                 size_t capacity, size_t *length);

/* How many bytes follow the four with which a record begins. */
certless_error certless_record_length(certless_stream *stream, const uint8_t start[4],
                                      size_t *length);

/* Open these bytes, in place. */
certless_error certless_receive_record(certless_stream *stream, uint8_t *sealed, size_t length,
                                       certless_part *part);

/* The connection has ended. CERTLESS_OK if the body was complete. */
certless_error certless_end_stream(const certless_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
