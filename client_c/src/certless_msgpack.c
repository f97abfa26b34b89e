/*
 * Strict msgpack: what the messages of PROTOCOL part 2 need, and nothing else (PROTOCOL §1.4.3).
 *
 * There are no negative numbers, because no message has one. The messages have fixed shapes, so
 * the limits of depth and of the number of arrays and maps hold without being counted.
 */
#include "certless_internal.h"

#include <string.h>

#define MAX_ITEMS 128u

static int take(cl_reader *reader, size_t length, uint8_t **bytes)
{
    if (length > reader->left)
        return 0;
    *bytes = reader->at;
    reader->at += length;
    reader->left -= length;
    return 1;
}

/* A number of `width` bytes. Smaller ones have a shorter encoding, so they are refused. */
static int take_number(cl_reader *reader, size_t width, uint64_t least, uint64_t *number)
{
    uint8_t *bytes;
    if (!take(reader, width, &bytes))
        return 0;
    *number = cl_load(bytes, width);
    return *number >= least;
}

/* The bytes that continue a character, or 0 for a byte that begins none. */
static unsigned continuation(uint8_t first)
{
    if (first >= 0xc2 && first <= 0xdf)
        return 1;
    if (first >= 0xe0 && first <= 0xef)
        return 2;
    return first >= 0xf0 && first <= 0xf4 ? 3 : 0;
}

/* RFC 3629: no surrogates, nothing above U+10FFFF, and no longer form than necessary. */
static int second_fits(uint8_t first, uint8_t second)
{
    uint8_t least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= least && second <= most;
}

size_t cl_characters(const uint8_t *text, size_t length)
{
    size_t characters = 0;
    for (size_t i = 0; i < length; characters++) {
        uint8_t first = text[i++];
        if (first < 0x80)
            continue;
        unsigned more = continuation(first);
        if (more == 0 || more > length - i || !second_fits(first, text[i]))
            return SIZE_MAX;
        for (unsigned k = 1; k < more; k++)
            if ((text[i + k] & 0xc0) != 0x80)
                return SIZE_MAX;
        i += more;
    }
    return characters;
}

static int bytes_of(cl_reader *reader, cl_value *value, cl_kind kind, uint64_t length)
{
    if (length > reader->left)
        return 0;
    value->kind = kind;
    value->length = (size_t)length;
    return take(reader, value->length, &value->bytes);
}

static int text_of(cl_reader *reader, cl_value *value, uint64_t length)
{
    return bytes_of(reader, value, CL_TEXT, length)
        && cl_characters(value->bytes, value->length) != SIZE_MAX;
}

static int items_of(cl_value *value, cl_kind kind, uint64_t items)
{
    value->kind = kind;
    value->length = (size_t)items;
    return items <= MAX_ITEMS;
}

/* A value whose first byte says how wide its number or its length is. */
static int next_wide(cl_reader *reader, uint8_t first, cl_value *value)
{
    uint64_t n;
    switch (first) {
    case 0xcc: return take_number(reader, 1, 0x80, &value->number);
    case 0xcd: return take_number(reader, 2, 0x100, &value->number);
    case 0xce: return take_number(reader, 4, 0x10000, &value->number);
    case 0xcf: return take_number(reader, 8, 0x100000000, &value->number);
    case 0xc4: return take_number(reader, 1, 0, &n) && bytes_of(reader, value, CL_BYTES, n);
    case 0xc5: return take_number(reader, 2, 0x100, &n) && bytes_of(reader, value, CL_BYTES, n);
    case 0xc6: return take_number(reader, 4, 0x10000, &n) && bytes_of(reader, value, CL_BYTES, n);
    case 0xd9: return take_number(reader, 1, 0x20, &n) && text_of(reader, value, n);
    case 0xda: return take_number(reader, 2, 0x100, &n) && text_of(reader, value, n);
    case 0xdb: return take_number(reader, 4, 0x10000, &n) && text_of(reader, value, n);
    case 0xdc: return take_number(reader, 2, 0x10, &n) && items_of(value, CL_ARRAY, n);
    case 0xde: return take_number(reader, 2, 0x10, &n) && items_of(value, CL_MAP, n);
    default: return 0;
    }
}

int cl_next(cl_reader *reader, cl_value *value)
{
    uint8_t *first;
    memset(value, 0, sizeof *value);
    if (!take(reader, 1, &first))
        return 0;
    value->number = *first;
    if (*first < 0x80)
        return 1;
    if (*first < 0x90)
        return items_of(value, CL_MAP, *first & 0x0fu);
    if (*first < 0xa0)
        return items_of(value, CL_ARRAY, *first & 0x0fu);
    if (*first < 0xc0)
        return text_of(reader, value, *first & 0x1fu);
    return next_wide(reader, *first, value);
}

static int fits(const cl_member *member, const cl_value *value)
{
    if (value->kind != member->kind)
        return 0;
    if (value->kind == CL_NUMBER)
        return value->number >= member->least && value->number <= member->most;
    if (value->kind == CL_TEXT)
        return cl_characters(value->bytes, value->length) <= CL_MAX_TEXT_CHARS;
    return value->length >= member->least && value->length <= member->most;
}

static cl_member *named(cl_member *members, size_t count, const cl_value *name)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(members[i].name) == name->length
            && memcmp(members[i].name, name->bytes, name->length) == 0)
            return &members[i];
    return NULL;
}

int cl_members(uint8_t *in, size_t length, cl_member *members, size_t count)
{
    cl_reader reader = {in, length};
    cl_value map, name;
    if (!cl_next(&reader, &map) || map.kind != CL_MAP)
        return 0;
    for (size_t i = 0; i < map.length; i++) {
        if (!cl_next(&reader, &name) || name.kind != CL_TEXT)
            return 0;
        cl_member *member = named(members, count, &name);
        if (member == NULL || member->is_present || !cl_next(&reader, &member->value)
            || !fits(member, &member->value))
            return 0;
        member->is_present = 1;
    }
    for (size_t i = 0; i < count; i++)
        if (!members[i].is_present && !members[i].is_optional)
            return 0;
    return reader.left == 0;
}

/* --- writing --- */

void cl_put_raw(cl_writer *writer, const void *data, size_t length)
{
    if (length > 0 && writer->length <= writer->capacity
        && length <= writer->capacity - writer->length)
        memcpy(writer->out + writer->length, data, length);
    writer->length += length;
}

/* The first byte and the number behind it. */
static void put_head(cl_writer *writer, unsigned first, uint64_t number, size_t width)
{
    uint8_t head[9];
    head[0] = (uint8_t)first;
    cl_store(head + 1, number, width);
    cl_put_raw(writer, head, width + 1);
}

/* The shortest head. `small` is the number of values that the first byte itself can hold. */
static void put_shortest(cl_writer *writer, uint64_t number, uint64_t small, unsigned fixed,
                         unsigned one_byte)
{
    unsigned narrow = one_byte == 0 ? 0 : 1; /* arrays and maps have no width of one byte */
    unsigned two_bytes = narrow ? one_byte + 1 : fixed == 0x90 ? 0xdc : 0xde;
    if (number < small)
        put_head(writer, (unsigned)(fixed | number), 0, 0);
    else if (narrow && number <= 0xff)
        put_head(writer, one_byte, number, 1);
    else if (number <= 0xffff)
        put_head(writer, two_bytes, number, 2);
    else if (number <= 0xffffffff)
        put_head(writer, two_bytes + 1, number, 4);
    else
        put_head(writer, two_bytes + 2, number, 8);
}

void cl_put_number(cl_writer *writer, uint64_t number)
{
    put_shortest(writer, number, 0x80, 0, 0xcc);
}

void cl_put_text(cl_writer *writer, const char *text, size_t length)
{
    put_shortest(writer, length, 0x20, 0xa0, 0xd9);
    cl_put_raw(writer, text, length);
}

void cl_put_string(cl_writer *writer, const char *text)
{
    cl_put_text(writer, text, strlen(text));
}

void cl_put_bytes_head(cl_writer *writer, size_t length)
{
    put_shortest(writer, length, 0, 0, 0xc4);
}

void cl_put_bytes(cl_writer *writer, const void *data, size_t length)
{
    cl_put_bytes_head(writer, length);
    cl_put_raw(writer, data, length);
}

void cl_put_array(cl_writer *writer, size_t items)
{
    put_shortest(writer, items, 0x10, 0x90, 0);
}

void cl_put_map(cl_writer *writer, size_t items)
{
    put_shortest(writer, items, 0x10, 0x80, 0);
}
