"""docs/comparison.md is complete in both directions: every name of theirs is in it, and every operator of ours.

The lists of the Python libraries are taken from the libraries, where they are installed; those of Node and Pekko were
copied from their documentation.
"""

import asyncio
import importlib
import inspect
import itertools
import operator
import pathlib
import re
import types
from unittest import mock

import pytest

import streamflow as sf
from streamflow import csv, files, gzip, objects, text
from streamflow.places import processes

PAGE = (pathlib.Path(__file__).parent.parent / "docs" / "comparison.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
LIBRARIES = ("itertools", "aiostream", "streamable", "RxPY", "Node", "Pekko Streams")
OWN = "What we have and they do not"
SPAN = re.compile(r"`([^`]+)`")
RECIPE = re.compile(r"recipe `(\w+)`")

NODE = """
    Duplex.from Duplex.fromWeb Duplex.toWeb Readable.from Readable.fromWeb Readable.isDisturbed Readable.toWeb
    Writable.fromWeb Writable.toWeb close data drain duplex.allowHalfOpen end error finish pause pipe readable
    readable._construct readable._destroy readable._read readable.asIndexedPairs readable.closed
    readable.compose readable.destroy readable.destroyed readable.drop readable.errored readable.every
    readable.filter readable.find readable.flatMap readable.forEach readable.isPaused readable.iterator
    readable.map readable.pause readable.pipe readable.push readable.read readable.readable
    readable.readableAborted readable.readableDidRead readable.readableEncoding readable.readableEnded
    readable.readableFlowing readable.readableHighWaterMark readable.readableLength readable.readableObjectMode
    readable.reduce readable.resume readable.setEncoding readable.some readable.take readable.toArray
    readable.unpipe readable.unshift readable.wrap resume stream.Duplex stream.PassThrough stream.Readable
    stream.Transform stream.Writable stream.addAbortSignal stream.compose stream.destroy stream.duplexPair
    stream.finished stream.getDefaultHighWaterMark stream.isErrored stream.isReadable stream.isWritable
    stream.pipeline stream.setDefaultHighWaterMark transform._flush transform._transform unpipe
    writable._construct writable._destroy writable._final writable._write writable._writev writable.closed
    writable.cork writable.destroy writable.destroyed writable.end writable.errored writable.setDefaultEncoding
    writable.uncork writable.writable writable.writableAborted writable.writableCorked writable.writableEnded
    writable.writableFinished writable.writableHighWaterMark writable.writableLength writable.writableNeedDrain
    writable.writableObjectMode writable.write
"""
"""`node:stream` of Node 26.6 (@types/node 26.6.6), and the `asIndexedPairs` of Node 20."""

NODE_AROUND = """
    consumers.arrayBuffer consumers.blob consumers.buffer consumers.bytes consumers.json consumers.text
    ByteLengthQueuingStrategy CompressionStream CountQueuingStrategy DecompressionStream ReadableStream
    TextDecoderStream TextEncoderStream TransformStream WritableStream
    iter.Broadcast iter.Share iter.Stream iter.SyncShare iter.array iter.arrayBuffer iter.arrayBufferSync
    iter.arraySync iter.broadcast iter.broadcastProtocol iter.bytes iter.bytesSync iter.drainableProtocol
    iter.duplex iter.from iter.fromReadable iter.fromSync iter.fromWritable iter.merge iter.ondrain iter.pipeTo
    iter.pipeToSync iter.pull iter.pullSync iter.push iter.share iter.shareProtocol iter.shareSync
    iter.shareSyncProtocol iter.tap iter.tapSync iter.text iter.textSync iter.toAsyncStreamable iter.toReadable
    iter.toReadableSync iter.toStreamable iter.toWritable
    zlib.compressBrotli zlib.compressBrotliSync zlib.compressDeflate zlib.compressDeflateSync zlib.compressGzip
    zlib.compressGzipSync zlib.compressZstd zlib.compressZstdSync zlib.decompressBrotli
    zlib.decompressBrotliSync zlib.decompressDeflate zlib.decompressDeflateSync zlib.decompressGzip
    zlib.decompressGzipSync zlib.decompressZstd zlib.decompressZstdSync
"""
"""`node:stream/consumers`, what is constructed of `node:stream/web`, `node:stream/iter` and `node:zlib/iter`."""

PEKKO = """
    ActorFlow.ask ActorFlow.askWithContext ActorFlow.askWithStatus ActorFlow.askWithStatusAndContext
    ActorSink.actorRef ActorSink.actorRefWithBackpressure ActorSource.actorRef
    ActorSource.actorRefWithBackpressure Balance Broadcast Compression.deflate Compression.gzip
    Compression.gzipDecompress Compression.inflate FileIO.fromPath FileIO.toPath MergeSequence Partition
    PubSub.sink PubSub.source RestartFlow.onFailuresWithBackoff RestartFlow.withBackoff RestartSink.withBackoff
    RestartSource.onFailuresWithBackoff RestartSource.withBackoff RetryFlow.withBackoff
    RetryFlow.withBackoffAndContext Sink.actorRef Sink.actorRefWithBackpressure Sink.asPublisher Sink.cancelled
    Sink.collect Sink.collection Sink.combine Sink.completionStageSink Sink.count Sink.eagerCompletionStageSink
    Sink.eagerFutureSink Sink.exists Sink.fold Sink.foldWhile Sink.forall Sink.foreach Sink.foreachAsync
    Sink.fromMaterializer Sink.fromSubscriber Sink.futureSink Sink.head Sink.headOption Sink.ignore Sink.last
    Sink.lastOption Sink.lazyCompletionStageSink Sink.lazyFutureSink Sink.lazySink Sink.never Sink.none
    Sink.onComplete Sink.preMaterialize Sink.queue Sink.reduce Sink.seq Sink.source Sink.takeLast
    Source.actorRef Source.actorRefWithBackpressure Source.apply Source.asSourceWithContext Source.asSubscriber
    Source.combine Source.completionStage Source.completionStageSource Source.cycle Source.empty Source.failed
    Source.from Source.fromArray Source.fromIterator Source.fromJavaStream Source.fromOption
    Source.fromPublisher Source.future Source.futureSource Source.items Source.iterate
    Source.lazyCompletionStage Source.lazyCompletionStageSource Source.lazyFuture Source.lazyFutureSource
    Source.lazySingle Source.lazySource Source.maybe Source.mergePrioritizedN Source.never Source.queue
    Source.range Source.repeat Source.single Source.tick Source.unfold Source.unfoldAsync Source.unfoldResource
    Source.unfoldResourceAsync Source.zipN Source.zipWithN StreamConverters.asInputStream
    StreamConverters.asJavaStream StreamConverters.asOutputStream StreamConverters.fromInputStream
    StreamConverters.fromJavaStream StreamConverters.fromOutputStream StreamConverters.javaCollector
    StreamConverters.javaCollectorParallelUnordered Unzip UnzipWith aggregateWithBoundary alsoTo alsoToAll
    asFlowWithContext ask backpressureTimeout batch batchWeighted buffer collect collectFirst collectType
    collectWhile completionStageFlow completionTimeout concat concatAllLazy concatLazy conflate conflateWithSeed
    contramap delay delayWith detach dimap divertTo doOnCancel doOnFirst drop dropRepeated dropWhile dropWithin
    expand extrapolate filter filterNot flatMapConcat flatMapMerge flatMapPrefix flattenMerge flattenOptional
    fold foldAsync foldWhile fromMaterializer fromSinkAndSource fromSinkAndSourceCoupled futureFlow groupBy
    grouped groupedAdjacentBy groupedAdjacentByWeighted groupedWeighted groupedWeightedWithin groupedWithin
    idleTimeout initialDelay initialTimeout interleave interleaveAll intersperse keepAlive
    lazyCompletionStageFlow lazyFlow lazyFutureFlow limit limitWeighted log logWithMarker map mapAsync
    mapAsyncPartitioned mapAsyncPartitionedUnordered mapAsyncUnordered mapConcat mapError mapOption
    mapWithResource materializeIntoSource merge mergeAll mergeLatest mergePreferred mergePrioritized mergeSorted
    monitor onErrorComplete onErrorContinue onErrorResume optionalVia orElse preMaterialize prefixAndTail
    prepend prependLazy recover recoverWith recoverWithRetries reduce scan scanAsync sliding splitAfter
    splitWhen statefulMap statefulMapConcat switchMap take takeUntil takeWhile takeWithin throttle watch
    watchTermination wireTap zip zipAll zipLatest zipLatestWith zipWith zipWithIndex
"""
"""The operator index of Pekko 2.0.0-M4; without a dot: operators of `Source` and `Flow`, and graph operators."""

PEKKO_ONE = """
    Compression.gunzip FileIO.fromFile FileIO.toFile Sink.foreachParallel Sink.lazyInitAsync Sink.setup
    Source.fromCompletionStage Source.fromFuture Source.fromFutureSource Source.fromSourceCompletionStage
    Source.lazily Source.lazilyAsync lazyInitAsync setup
"""
"""What the index of Pekko 1.7.0 has and that of 2.0.0-M4 has no more."""


def rows(section: str) -> list[list[str]]:
    """The rows of a table, as cells, without its head."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def theirs(section: str) -> list[str]:
    return [name for row in rows(section) for name in SPAN.findall(row[0])]


def blocks() -> str:
    return "".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))


def spellings() -> list[str]:
    """Every call that the tables tell to write, once."""
    cells = [cell for section in LIBRARIES for row in rows(section) for cell in row[1:]]
    cells += [cell for row in rows(OWN) for cell in row]
    spans = {span for cell in cells for span in SPAN.findall(cell)}
    return sorted(span for span in spans if re.match(r"\w+\.(?!run|open|blocking)\w+\(", span) and "..." not in span)


def test_every_table_has_three_cells_in_a_row():
    for section in LIBRARIES:
        assert rows(section)
        assert {len(row) for row in rows(section)} == {3}, section
        assert all(SPAN.search(row[0]) and row[1] for row in rows(section)), section


def test_every_name_of_ours_exists():
    named = set(re.findall(r"\bsf\.([A-Za-z_]\w*)", PAGE))

    assert sorted(name for name in named if not hasattr(sf, name)) == []


def test_every_method_of_a_stream_exists():
    named = set(re.findall(r"`(?:await )?stream\.(\w+)\(", "".join(SECTIONS[section] for section in LIBRARIES)))

    assert named
    assert sorted(name for name in named if not hasattr(sf.Stream, name)) == []


def test_every_operator_of_ours_is_mentioned():
    named = set(re.findall(r"\bsf\.([A-Za-z_]\w*)", PAGE))
    functions = {name: getattr(sf, name) for name in sf.__all__ if inspect.isfunction(getattr(sf, name))}
    operators = {name for name, fn in functions.items() if fn.__module__.startswith("streamflow.operators")}

    assert operators
    assert sorted(operators - named) == []


@pytest.mark.parametrize("spelling", spellings())
def test_what_the_tables_tell_to_write_can_be_written(spelling):
    """Built, not run: the names are in the page's introduction or speak for themselves."""
    names = dict.fromkeys(("a", "b", "other", "source"), (1, 2, 3)) | dict.fromkeys(("n", "start", "stop", "value"), 2)
    names |= dict.fromkeys(("fn", "key"), str) | {"seconds": 1.0, "sink": sf.count(), "stage": sf.map(str)}
    names |= {"queue": asyncio.Queue(4), "channel": sf.Channel(4), "writer": sf.Channel(4)}
    names |= {"reader": asyncio.StreamReader(loop=mock.Mock(spec=asyncio.AbstractEventLoop))}
    names |= {"stream": sf.stream([1]), "item": 1, "open": open}
    modules = {"sf": sf, "itertools": itertools, "operator": operator, "asyncio": asyncio}
    modules |= {"csv": csv, "files": files, "gzip": gzip, "objects": objects, "processes": processes, "text": text}

    try:
        assert eval(spelling, {**names, **modules}) is not None
    except sf.MissingExtra as missing:
        pytest.skip(str(missing))


def test_every_recipe_that_is_named_is_there_and_every_one_there_is_named():
    named = set(RECIPE.findall(PAGE))
    defined = set(re.findall(r"^(?:async )?def (\w+)\(", blocks(), re.MULTILINE))
    helpers = {"main", "last_of_pairs", "make_sink"}

    assert named == defined - helpers


def test_every_name_of_itertools_is_there():
    assert sorted({name for name in dir(itertools) if not name.startswith("_")} - set(theirs("itertools"))) == []


def test_every_name_of_node_is_there():
    assert sorted(set(theirs("Node"))) == sorted({*NODE.split(), *NODE_AROUND.split()})


def test_every_operator_of_pekko_is_there():
    assert sorted(set(theirs("Pekko Streams"))) == sorted({*PEKKO.split(), *PEKKO_ONE.split()})


@pytest.mark.parametrize("section", ["Node", "Pekko Streams", "streamable"])
def test_a_name_stands_in_one_row_only(section):
    names = theirs(section)

    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_every_name_of_aiostream_is_there():
    aiostream = pytest.importorskip("aiostream", reason="compared where aiostream is installed")
    operators = {name for name, value in vars(aiostream.stream).items() if not isinstance(value, types.ModuleType)}
    around = {name for name in dir(aiostream) if not name.startswith("_")}

    assert sorted(set(theirs("aiostream"))) == sorted({name for name in operators if name[0] != "_"} | around)


def test_every_name_of_streamable_is_there():
    streamable = pytest.importorskip("streamable", reason="compared where streamable is installed")
    names = {name for name in (*dir(streamable.stream), *dir(streamable)) if not name.startswith("_")}

    assert sorted(names - set(theirs("streamable"))) == []


def test_every_name_of_reactivex_is_there():
    reactivex = pytest.importorskip("reactivex", reason="compared where reactivex is installed")
    functions = {name for name, value in vars(reactivex).items() if inspect.isfunction(value) and name[0] != "_"}
    names = {*importlib.import_module("reactivex.operators").__all__, *reactivex.__all__, *functions}

    assert sorted(set(theirs("RxPY"))) == sorted(names - {"__version__", "overload"})
