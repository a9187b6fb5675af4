/* Rows in C: of CSV, text to rows and rows to bytes, for what is common; of JSON, one question. All else is left to
 * Python.
 *
 * What lives here: functions, each the twin of a way in Python that does the same where this file could not be compiled
 * (streamflow/formats/csv_rows.py and json_certainty.py choose; the same tests hold both). What must not: a
 * rule of its own, an error message, a state. How big a block is, what a row may look like, which row was wrong and what
 * to say about it: all of that is in Python.
 *
 * read         the rows of a text of whole lines, as `csv.reader` gives them in strict mode
 * read_dicts   lists to dictionaries
 * write_lists, write_dicts   rows to UTF-8, as `csv.writer` with QUOTE_MINIMAL, until there are enough for a block
 * is_meant     whether each `null` in lines of JSON certainly stands for a `None`
 *
 * Not me
 * ------
 * Each function does what it is sure of and says where it stopped; whoever called goes on from there in Python. So
 * nothing here has to know what is wrong: bad quoting, a row of the wrong length, a missing column, half of a surrogate
 * pair, a `__str__` that fails, a kind of row that was not expected are all the same, and every error has one origin.
 * A row that is given up is left whole: nothing of it was read or written.
 *
 * What `csv.writer` puts in quotes differs between versions of Python. So the caller finds out and passes a table.
 *
 * What keeps it right
 * -------------------
 * `str()` of a field may run anything: it may change the row, the list of rows, or come back in here. So there is no
 * state but local variables, lengths are read again after it, and an object is owned while it is in use: the row for as
 * long as it is written, a field that is not text while it is asked. Text and None run nothing.
 *
 * A text is scanned in the form it has in memory (1, 2 or 4 bytes a character): the same lines are compiled for each.
 * The bits of all characters of a field, or-ed, say which form it needs itself. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#if PY_VERSION_HEX < 0x030B0000
#error "streamflow needs Python 3.11 or newer"
#elif PY_VERSION_HEX >= 0x030C0000
#define IS_READY(text) 1     /* there are no other strings any more */
#else
#define IS_READY(text) (PyUnicode_READY(text) == 0)
#endif

/* --------------------------------------------------------------------------------------------------------- reading */

/* The fields of the row that is being read; all are owned. */
typedef struct {
    PyObject **items;
    Py_ssize_t count, size;
} Fields;

/* Put a field at the end; steals it, also when it fails. */
static inline int
fields_push(Fields *fields, PyObject *field)
{
    if (field == NULL)
        return -1;
    if (fields->count == fields->size) {
        Py_ssize_t size = fields->size ? fields->size * 2 : 16;
        PyObject **items = size > PY_SSIZE_T_MAX / (Py_ssize_t)sizeof(PyObject *) ? NULL
            : PyMem_Realloc(fields->items, (size_t)size * sizeof(PyObject *));
        if (items == NULL) {
            Py_DECREF(field);
            PyErr_NoMemory();
            return -1;
        }
        fields->items = items;
        fields->size = size;
    }
    fields->items[fields->count++] = field;
    return 0;
}

/* Make a list of the fields, which then are none. It has room for one more: a column is often added. */
static PyObject *
fields_as_row(Fields *fields)
{
    PyObject *row = PyList_New(fields->count + 1);
    if (row == NULL)
        return NULL;
    Py_SET_SIZE(row, fields->count);
    for (Py_ssize_t at = 0; at < fields->count; at++)
        PyList_SET_ITEM(row, at, fields->items[at]);
    fields->count = 0;
    return row;
}

static void
fields_free(Fields *fields)
{
    while (fields->count > 0)
        Py_DECREF(fields->items[--fields->count]);
    PyMem_Free(fields->items);
}

/* Copy characters; of two quotes in quotes only one. */
#define COPY(type)                                                     \
    for (Py_ssize_t to = 0; to < length; to++, start++) {              \
        Py_UCS4 c = PyUnicode_READ(kind, data, start);                 \
        ((type *)target)[to] = (type)c;                                \
        start += c == skip;                                            \
    }

/* Make a string of `length` characters, whose bits are `bits`; the one behind each `skip` is left out. */
static inline PyObject *
field_of(int kind, const void *data, Py_ssize_t start, Py_ssize_t length, Py_UCS4 bits, Py_UCS4 skip)
{
    if (length == 1)
        return PyUnicode_FromOrdinal((int)bits);
    PyObject *field = PyUnicode_New(length, bits > 0x10FFFF ? 0x10FFFF : bits);
    if (field == NULL || length == 0)
        return field;
    void *target = PyUnicode_DATA(field);
    switch (PyUnicode_KIND(field)) {
    case PyUnicode_1BYTE_KIND:
        COPY(Py_UCS1)
        break;
    case PyUnicode_2BYTE_KIND:
        COPY(Py_UCS2)
        break;
    default:
        COPY(Py_UCS4)
    }
    return field;
}

#define NO_CHARACTER 0x110000
#define ENDS_LINE(c) ((c) == '\n' || (c) == '\r')

typedef enum { FAILED = -1, DONE = 0, NOT_ME = 1 } Outcome;

typedef struct {
    int kind;
    const void *data;
    Py_ssize_t length, at;
    Py_UCS4 delimiter, quote;
    Py_ssize_t done, lines;  /* where the rows end that were read, and the lines up to there */
} Scan;

#define READ(place) PyUnicode_READ(kind, scan->data, place)

/* Read a field that begins with a quote; leave off behind the quote that closes it. Counts the lines in it. */
static inline Outcome
read_quoted(Scan *scan, int kind, Fields *fields, Py_ssize_t *lines)
{
    Py_ssize_t start = ++scan->at, at = start, doubled = 0;
    Py_UCS4 bits = 0;
    for (;; at++) {
        if (at == scan->length)
            return NOT_ME;
        Py_UCS4 c = READ(at);
        if (c == scan->quote) {
            if (at + 1 == scan->length || READ(at + 1) != scan->quote)
                break;
            doubled++;
            at++;
        }
        else if (c == '\n' || (c == '\r' && (at + 1 == scan->length || READ(at + 1) != '\n')))
            ++*lines;
        bits |= c;
    }
    scan->at = at + 1;
    Py_UCS4 skip = doubled ? scan->quote : NO_CHARACTER;
    return fields_push(fields, field_of(kind, scan->data, start, at - start - doubled, bits, skip));
}

/* Read a field without quotes; leave off at what ends it. */
static inline Outcome
read_plain(Scan *scan, int kind, Fields *fields)
{
    Py_ssize_t start = scan->at, at = start;
    Py_UCS4 bits = 0;
    for (;; at++) {
        if (at == scan->length)
            return NOT_ME;
        Py_UCS4 c = READ(at);
        if (c == scan->delimiter || ENDS_LINE(c))
            break;
        bits |= c;
    }
    scan->at = at;
    return fields_push(fields, field_of(kind, scan->data, start, at - start, bits, NO_CHARACTER));
}

/* Read the fields of a row, and the end of its last line. */
static inline Outcome
read_row(Scan *scan, int kind, Fields *fields)
{
    Py_ssize_t lines = 1;
    Py_UCS4 c = READ(scan->at);
    while (!(ENDS_LINE(c) && fields->count == 0)) {  /* a line with nothing in it is a row without fields */
        Outcome outcome = c == scan->quote ? read_quoted(scan, kind, fields, &lines)
            : read_plain(scan, kind, fields);
        if (outcome != DONE)
            return outcome;
        if (scan->at == scan->length)
            return NOT_ME;
        c = READ(scan->at);
        if (ENDS_LINE(c))
            break;
        if (c != scan->delimiter || ++scan->at == scan->length)
            return NOT_ME;
        c = READ(scan->at);
    }
    scan->at++;
    if (c == '\r' && scan->at < scan->length && READ(scan->at) == '\n')
        scan->at++;
    scan->done = scan->at;
    scan->lines += lines;
    return DONE;
}

static inline Outcome
read_rows(Scan *scan, int kind, Fields *fields, PyObject *rows)
{
    while (scan->at < scan->length) {
        Outcome outcome = read_row(scan, kind, fields);
        if (outcome != DONE)
            return outcome;
        PyObject *row = fields_as_row(fields);
        if (row == NULL)
            return FAILED;
        int failed = PyList_Append(rows, row);
        Py_DECREF(row);
        if (failed)
            return FAILED;
    }
    return DONE;
}

/* The same for each form of a text. */
static Outcome
read_any(Scan *scan, Fields *fields, PyObject *rows)
{
    switch (scan->kind) {
    case PyUnicode_1BYTE_KIND:
        return read_rows(scan, PyUnicode_1BYTE_KIND, fields, rows);
    case PyUnicode_2BYTE_KIND:
        return read_rows(scan, PyUnicode_2BYTE_KIND, fields, rows);
    default:
        return read_rows(scan, PyUnicode_4BYTE_KIND, fields, rows);
    }
}

static PyObject *
rows_read(PyObject *Py_UNUSED(module), PyObject *args)
{
    int delimiter, quote;
    PyObject *text;
    if (!PyArg_ParseTuple(args, "CCU", &delimiter, &quote, &text) || !IS_READY(text))
        return NULL;
    Scan scan = {.kind = PyUnicode_KIND(text), .data = PyUnicode_DATA(text), .length = PyUnicode_GET_LENGTH(text),
                 .delimiter = (Py_UCS4)delimiter, .quote = (Py_UCS4)quote};
    PyObject *rows = PyList_New(0);
    if (rows == NULL)
        return NULL;
    Fields fields = {0};
    Outcome outcome = read_any(&scan, &fields, rows);
    fields_free(&fields);
    if (outcome != FAILED)
        return Py_BuildValue("(Nnn)", rows, scan.lines, scan.done);
    Py_DECREF(rows);
    return NULL;
}

/* Make a dictionary of a row. Copying one that has the names already is faster than putting them in. */
static PyObject *
rows_read_dict(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !PyDict_CheckExact(args[0]) || !PyTuple_CheckExact(args[1]) || !PyList_CheckExact(args[2])) {
        PyErr_SetString(PyExc_TypeError, "read_dict() takes a dictionary, a tuple and a list");
        return NULL;
    }
    PyObject *names = args[1], *fields = args[2];
    PyObject *row = PyDict_Copy(args[0]);
    for (Py_ssize_t at = 0; row != NULL && at < PyTuple_GET_SIZE(names) && at < PyList_GET_SIZE(fields); at++) {
        PyObject *field = Py_NewRef(PyList_GET_ITEM(fields, at));
        if (PyDict_SetItem(row, PyTuple_GET_ITEM(names, at), field) < 0)
            Py_CLEAR(row);
        Py_DECREF(field);
    }
    return row;
}

/* --------------------------------------------------------------------------------------------------------- writing */

/* A dialect, as it is passed in: a table of the characters below 128 that need quotes, the delimiter, the quote, and
 * what ends a row. All of them are ASCII. */
typedef struct {
    const char *marks;
    char delimiter, quote;
    const char *end;
    Py_ssize_t end_length;
} Dialect;

#define TABLE 128

static int
dialect_from(PyObject *packed, void *dialect)
{
    Dialect *self = dialect;
    if (!PyBytes_Check(packed) || PyBytes_GET_SIZE(packed) < TABLE + 2) {
        PyErr_SetString(PyExc_TypeError, "a dialect is bytes: a table, the delimiter, the quote, the end of a row");
        return 0;
    }
    self->marks = PyBytes_AS_STRING(packed);
    self->delimiter = self->marks[TABLE];
    self->quote = self->marks[TABLE + 1];
    self->end = self->marks + TABLE + 2;
    self->end_length = PyBytes_GET_SIZE(packed) - (TABLE + 2);
    return 1;
}

/* What was written: `used` bytes that are `characters`. */
typedef struct {
    const Dialect *dialect;
    char *start;
    Py_ssize_t used, size, characters;
} Out;

/* Make room for `count` times `width` bytes and a little more. */
static inline int
out_reserve(Out *out, Py_ssize_t count, Py_ssize_t width)
{
    Py_ssize_t most = (PY_SSIZE_T_MAX - out->used) / 2 - 16;
    if (count > most / width) {
        PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t needed = out->used + count * width + 16;
    if (needed <= out->size)
        return 0;
    size_t size = (size_t)needed + (size_t)needed / 2;
    char *start = PyMem_Realloc(out->start, size);
    if (start == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    out->start = start;
    out->size = (Py_ssize_t)size;
    return 0;
}

/* Write a character beyond ASCII; NULL for half of a surrogate pair. */
static inline char *
put_wide(char *to, Py_UCS4 c)
{
    if (c < 0x800)
        *to++ = (char)(0xC0 | c >> 6);
    else {
        if (c < 0x10000) {
            if (c >= 0xD800 && c <= 0xDFFF)
                return NULL;
            *to++ = (char)(0xE0 | c >> 12);
        }
        else {
            *to++ = (char)(0xF0 | c >> 18);
            *to++ = (char)(0x80 | (c >> 12 & 0x3F));
        }
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
    }
    *to++ = (char)(0x80 | (c & 0x3F));
    return to;
}

/* Write characters, in quotes or not; return the end, or NULL where that cannot be. */
static inline char *
put_characters(char *to, int kind, const void *data, Py_ssize_t length, const Dialect *dialect, int quoted)
{
    for (Py_ssize_t at = 0; at < length; at++) {
        Py_UCS4 c = PyUnicode_READ(kind, data, at);
        if (c < TABLE) {
            if (!quoted && dialect->marks[c])
                return NULL;
            if (quoted && c == (unsigned char)dialect->quote)
                *to++ = dialect->quote;
            *to++ = (char)c;
        }
        else if ((to = put_wide(to, c)) == NULL)
            return NULL;
    }
    return to;
}

/* The same for each form of a text. */
static char *
put_any(char *to, int kind, const void *data, Py_ssize_t length, const Dialect *dialect, int quoted)
{
    switch (kind) {
    case PyUnicode_1BYTE_KIND:
        return put_characters(to, PyUnicode_1BYTE_KIND, data, length, dialect, quoted);
    case PyUnicode_2BYTE_KIND:
        return put_characters(to, PyUnicode_2BYTE_KIND, data, length, dialect, quoted);
    default:
        return put_characters(to, PyUnicode_4BYTE_KIND, data, length, dialect, quoted);
    }
}

static Py_ssize_t
count_of(char wanted, int kind, const void *data, Py_ssize_t length)
{
    Py_ssize_t count = 0;
    for (Py_ssize_t at = 0; at < length; at++)
        count += PyUnicode_READ(kind, data, at) == (unsigned char)wanted;
    return count;
}

static Outcome
put_text(Out *out, PyObject *text)
{
    if (!IS_READY(text))
        return FAILED;
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    if (out_reserve(out, length, kind == PyUnicode_1BYTE_KIND ? 2 : 4) < 0)  /* two are also a quote that is doubled */
        return FAILED;
    char *start = out->start + out->used;
    char *to = put_any(start, kind, data, length, out->dialect, 0);
    if (to == NULL) {
        *start = out->dialect->quote;
        to = put_any(start + 1, kind, data, length, out->dialect, 1);
        if (to == NULL)
            return NOT_ME;
        *to++ = out->dialect->quote;
        out->characters += 2 + count_of(out->dialect->quote, kind, data, length);
    }
    out->used += to - start;
    out->characters += length;
    return DONE;
}

/* Write a field, which may be borrowed from a row. */
static inline Outcome
put_field(Out *out, PyObject *field)
{
    if (PyUnicode_Check(field))
        return put_text(out, field);
    if (field == Py_None)
        return DONE;
    Py_INCREF(field);
    PyObject *text = PyObject_Str(field);
    Py_DECREF(field);
    if (text == NULL)
        return FAILED;
    Outcome outcome = put_text(out, text);
    Py_DECREF(text);
    return outcome;
}

static inline Outcome
put_delimiter(Out *out)
{
    if (out_reserve(out, 1, 1) < 0)
        return FAILED;
    out->start[out->used++] = out->dialect->delimiter;
    out->characters++;
    return DONE;
}

/* How rows are to be: `width` fields in lists (-1: any number); or dictionaries with these `names`. */
typedef struct {
    Py_ssize_t width;
    PyObject *names;     /* a tuple, or NULL for lists */
    PyObject *missing;   /* a tuple: what is written for a field that is missing; or empty */
    int exact;           /* whether a dictionary may have no other names */
} Shape;

/* Return how many fields were written, or -1; then `outcome` says why. */
static inline Py_ssize_t
put_list(Out *out, PyObject *row, const Shape *shape, Outcome *outcome)
{
    int is_list = PyList_CheckExact(row);
    if ((!is_list && !PyTuple_CheckExact(row)) || (shape->width >= 0 && Py_SIZE(row) != shape->width)) {
        *outcome = NOT_ME;
        return -1;
    }
    Py_ssize_t at = 0;
    for (; at < Py_SIZE(row); at++) {
        if (at && (*outcome = put_delimiter(out)) != DONE)
            return -1;
        /* Writing the delimiter runs nothing, so the field is still there. */
        if ((*outcome = put_field(out, is_list ? PyList_GET_ITEM(row, at) : PyTuple_GET_ITEM(row, at))) != DONE)
            return -1;
    }
    return at;
}

static inline Py_ssize_t
put_dict(Out *out, PyObject *row, const Shape *shape, Outcome *outcome)
{
    Py_ssize_t found = 0, width = PyTuple_GET_SIZE(shape->names);
    *outcome = PyDict_CheckExact(row) ? DONE : NOT_ME;
    for (Py_ssize_t at = 0; *outcome == DONE && at < width; at++) {
        if (at && (*outcome = put_delimiter(out)) != DONE)
            break;
        PyObject *field = PyDict_GetItemWithError(row, PyTuple_GET_ITEM(shape->names, at));
        if (field != NULL)
            found++;
        else if (PyErr_Occurred())
            *outcome = FAILED;
        else if (PyTuple_GET_SIZE(shape->missing) == 0)
            *outcome = NOT_ME;
        else
            field = PyTuple_GET_ITEM(shape->missing, 0);
        if (*outcome == DONE)
            *outcome = put_field(out, field);
    }
    if (*outcome == DONE && shape->exact && found != PyDict_GET_SIZE(row))
        *outcome = NOT_ME;
    return *outcome == DONE ? width : -1;
}

/* Write a row and what ends it, or nothing of it. */
static inline Outcome
put_row(Out *out, PyObject *row, const Shape *shape)
{
    const Dialect *dialect = out->dialect;
    Py_ssize_t used = out->used, characters = out->characters;
    Outcome outcome = DONE;
    Py_ssize_t count = shape->names ? put_dict(out, row, shape, &outcome) : put_list(out, row, shape, &outcome);
    if (outcome == DONE && out_reserve(out, dialect->end_length, 1) < 0)
        outcome = FAILED;
    if (outcome != DONE) {
        out->used = used;
        out->characters = characters;
        return outcome;
    }
    if (count == 1 && out->used == used) {  /* one empty field must be told from no field */
        memset(out->start + used, dialect->quote, 2);
        out->used += 2;
        out->characters += 2;
    }
    memcpy(out->start + out->used, dialect->end, (size_t)dialect->end_length);
    out->used += dialect->end_length;
    out->characters += dialect->end_length;
    return DONE;
}

/* Whether the error that is set may be met again in Python; then it is set no more. A KeyboardInterrupt may not. */
static int
forgiven(void)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return 0;
    PyErr_Clear();
    return 1;
}

/* Write rows from the one at `at` on, until there are `room` characters or more; or until one is not for me. */
static PyObject *
put_rows(const Dialect *dialect, const Shape *shape, PyObject *rows, Py_ssize_t at, Py_ssize_t room)
{
    Out out = {.dialect = dialect};
    Outcome outcome = at < 0 ? NOT_ME : DONE;
    while (outcome == DONE && at < PyList_GET_SIZE(rows) && out.characters < room) {
        PyObject *row = Py_NewRef(PyList_GET_ITEM(rows, at));
        outcome = put_row(&out, row, shape);
        Py_DECREF(row);
        at += outcome == DONE;
    }
    PyObject *written = NULL;
    if (outcome != FAILED || forgiven())
        written = Py_BuildValue("(y#nn)", out.start ? out.start : "", out.used, out.characters, at);
    PyMem_Free(out.start);
    return written;
}

static PyObject *
rows_write_lists(PyObject *Py_UNUSED(module), PyObject *args)
{
    Dialect dialect;
    Shape shape = {0};
    PyObject *rows;
    Py_ssize_t at, room;
    if (!PyArg_ParseTuple(args, "O&nO!nn", dialect_from, &dialect, &shape.width, &PyList_Type, &rows, &at, &room))
        return NULL;
    return put_rows(&dialect, &shape, rows, at, room);
}

static PyObject *
rows_write_dicts(PyObject *Py_UNUSED(module), PyObject *args)
{
    Dialect dialect;
    Shape shape = {0};
    PyObject *rows;
    Py_ssize_t at, room;
    if (!PyArg_ParseTuple(args, "O&O!O!pO!nn", dialect_from, &dialect, &PyTuple_Type, &shape.names, &PyTuple_Type,
                          &shape.missing, &shape.exact, &PyList_Type, &rows, &at, &room))
        return NULL;
    return put_rows(&dialect, &shape, rows, at, room);
}

/* ------------------------------------------------------------------------------------------------------------ JSON */

#define DEEPEST 100

/* How many newlines and how many times `null` there are. The counters of a stretch are bytes, so that a compiler can do
 * sixteen at a time. */
static void
tally(const unsigned char *text, Py_ssize_t size, Py_ssize_t *newlines, Py_ssize_t *nulls)
{
    Py_ssize_t at = 0;
    while (at < size) {
        Py_ssize_t whole = size - 3 - at, stretch = size - at;
        if (stretch > 255)
            stretch = 255;
        whole = whole < 0 ? 0 : whole < stretch ? whole : stretch;
        const unsigned char *part = text + at;
        unsigned char ends = 0, found = 0;
        for (Py_ssize_t i = 0; i < stretch; i++)
            ends += part[i] == '\n';
        for (Py_ssize_t i = 0; i < whole; i++)
            found += (part[i] == 'n') & (part[i + 1] == 'u') & (part[i + 2] == 'l') & (part[i + 3] == 'l');
        *newlines += ends;
        *nulls += found;
        at += stretch;
    }
}

/* How many `None` there are in a value of plain kinds; what is of another kind, or too deep, counts as none. It runs
 * nobody's code, so nothing changes meanwhile. */
static Py_ssize_t
count_nones(PyObject *value, int depth)
{
    Py_ssize_t count = 0;
    if (value == Py_None)
        return 1;
    if (depth == DEEPEST)
        return 0;
    if (PyDict_CheckExact(value)) {
        PyObject *each;
        Py_ssize_t at = 0;
        while (PyDict_Next(value, &at, NULL, &each))
            count += count_nones(each, depth + 1);
    }
    else if (PyList_CheckExact(value) || PyTuple_CheckExact(value)) {
        PyObject **items = PySequence_Fast_ITEMS(value);
        for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(value); i++)
            count += count_nones(items[i], depth + 1);
    }
    return count;
}

static PyObject *
rows_is_meant(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyBytes_CheckExact(args[0]) || !PyList_CheckExact(args[1])) {
        PyErr_SetString(PyExc_TypeError, "is_meant(lines, items) takes bytes and a list");
        return NULL;
    }
    Py_ssize_t newlines = 0, nulls = 0;
    tally((const unsigned char *)PyBytes_AS_STRING(args[0]), PyBytes_GET_SIZE(args[0]), &newlines, &nulls);
    return PyBool_FromLong(newlines == PyList_GET_SIZE(args[1]) && (nulls == 0 || nulls == count_nones(args[1], 0)));
}

/* ---------------------------------------------------------------------------------------------------------- module */

#define METHOD(name, function, kind, doc) {name, (PyCFunction)(void (*)(void))function, kind, doc}

static PyMethodDef rows_methods[] = {
    METHOD("read", rows_read, METH_VARARGS, "Read a text; return rows, how many lines and characters they are."),
    METHOD("read_dict", rows_read_dict, METH_FASTCALL, "Return a copy of a dictionary with fields under the names."),
    METHOD("write_lists", rows_write_lists, METH_VARARGS, "Write rows; return bytes, their characters, and the next row."),
    METHOD("write_dicts", rows_write_dicts, METH_VARARGS, "Write rows; return bytes, their characters, and the next row."),
    METHOD("is_meant", rows_is_meant, METH_FASTCALL, "Return whether each null in lines certainly stands for a None."),
    {NULL},
};

static PyModuleDef_Slot rows_slots[] = {
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

static PyModuleDef rows_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "streamflow.formats._rows",
    .m_doc = "Rows in C; streamflow.formats.csv_rows and json_certainty say what does the same in Python.",
    .m_methods = rows_methods,
    .m_slots = rows_slots,
};

PyMODINIT_FUNC
PyInit__rows(void)
{
    return PyModuleDef_Init(&rows_module);
}
