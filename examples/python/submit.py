#!/usr/bin/env python3
"""Submits a job, watches it and fetches its outputs, with nothing but Python's stock gRPC.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python submit.py --addr 127.0.0.1:7077 --token-file /run/longshore/127.0.0.1:7077.token \\
        --image busybox --output out a.txt b.txt -- sh -c 'wc -w < {in} > {out}'

No .proto file is needed: what the coordinator offers is found by reflection. `--addr unix:PATH` goes in by its socket, as the
user who started it, without a token.
"""

import argparse
import os
import pathlib
import sys

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

CHUNK = 256 * 1024
SMALL = 64 * 1024


class Coordinator:
    """Every method of every service, found by reflection."""

    def __init__(self, address, token=None):
        options = [("grpc.max_receive_message_length", 16 << 20)]
        if address.startswith("unix:"):
            # Otherwise it would be the socket's path, which is not the name of a host.
            options.append(("grpc.default_authority", "localhost"))
        self.channel = grpc.insecure_channel(address, options=options)
        self.metadata = [("authorization", "Bearer " + token)] if token else []
        if token:
            self.channel = grpc.intercept_channel(self.channel, _WithToken(self.metadata))
        database = ProtoReflectionDescriptorDatabase(self.channel)
        self.services = sorted(database.get_services())
        self.pool = descriptor_pool.DescriptorPool(database)

    def type(self, name):
        """The class of a message, such as `JobSpec`."""
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName("longshore.v1." + name))

    def call(self, service, method, request, **options):
        """Calls a method: `request` is a message, or an iterator of them where the method takes a stream."""
        found = self.pool.FindServiceByName("longshore.v1." + service).FindMethodByName(method)
        answer = message_factory.GetMessageClass(found.output_type)
        kind = ("stream" if found.client_streaming else "unary") + "_" + ("stream" if found.server_streaming else "unary")
        made = getattr(self.channel, kind)(
            f"/longshore.v1.{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return made(request, **options)


class _WithToken(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    def __init__(self, metadata):
        self.metadata = metadata

    def _call(self, go_on, details, request):
        shown = list(details.metadata or []) + self.metadata
        return go_on(details._replace(metadata=shown), request)

    intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = intercept_stream_stream = _call


def explain(error):
    """What a refusal says, for people: reason, what it is about, the next command."""
    lines = [f"{error.code().name}: {error.details()}"]
    rich = rpc_status.from_call(error)
    for detail in rich.details if rich else []:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.ResourceInfo, error_details_pb2.Help):
            if detail.Is(kind.DESCRIPTOR):
                found = kind()
                detail.Unpack(found)
                if kind is error_details_pb2.ErrorInfo:
                    lines.append(f"reason: {found.reason}")
                elif kind is error_details_pb2.ResourceInfo:
                    lines.append(f"about: {found.resource_type} {found.resource_name}")
                else:
                    lines += [f"next: {link.description}" for link in found.links]
    return "\n".join(lines)


def submit(coordinator, digest, image, command, paths):
    """Uploads the files and a list of them, submits a job of one stage, and answers its id."""
    types = coordinator.type
    named, puts = [], []
    for path in paths:
        data = path.read_bytes()
        named.append(types("NamedBlob")(path=path.name, digest=digest(data), size=len(data)))
        puts.append(data)
    listing = types("BlobList")(blobs=named).SerializeToString()
    puts.append(listing)

    def steps():
        put, small = types("PutRequest"), types("SmallBlob")
        for data in puts:
            if len(data) <= SMALL:
                yield put(small=types("SmallBlobs")(blobs=[small(digest=digest(data), data=data)]))
                continue
            yield put(start=types("BlobStart")(digest=digest(data), size=len(data)))
            for at in range(0, len(data), CHUNK):
                yield put(data=data[at : at + CHUNK])

    coordinator.call("Blobs", "Put", steps())
    stage = types("Stage")(name="run", kind="STAGE_KIND_MAP")
    stage.container.image = image
    stage.container.command.extend(command)
    spec = types("JobSpec")(name="from-python", stages=[stage])
    lists = [types("BlobListRef")(digest=digest(listing), count=len(named))]
    # The same key twice is the same job: a lost answer may be asked for again.
    request = types("SubmitRequest")(spec=spec, inputs=lists, idempotency_key=os.urandom(16).hex())
    return coordinator.call("Jobs", "Submit", request).job_id


def fetch(coordinator, job, directory):
    """Writes the outputs of what has succeeded below a directory; answers how many."""
    request = coordinator.type("ItemsRequest")(job_id=job, state="ITEM_STATE_SUCCEEDED", last_stage=True)
    count = 0
    for page in coordinator.call("Jobs", "Items", request):
        for item in page.items:
            for output in item.outputs:
                path = directory / output.path
                if not path.resolve().is_relative_to(directory.resolve()):
                    raise ValueError(f"{output.path!r} leads out of {directory}")
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    for piece in coordinator.call("Blobs", "Get", coordinator.type("GetRequest")(digests=[output.digest])):
                        write(file, piece)
                count += 1
    return count


def write(file, piece):
    """Writes what an answer of Blobs.Get brings."""
    step = piece.WhichOneof("step")
    if step == "small":
        for blob in piece.small.blobs:
            file.write(blob.data)
    elif step == "data":
        file.write(piece.data)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--addr", default="127.0.0.1:7077")
    parser.add_argument("--token-file", type=pathlib.Path)
    parser.add_argument("--image", required=True)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("."))
    parser.add_argument("--show", metavar="JOB", help="show this job instead")
    parser.add_argument("inputs", nargs="*", type=pathlib.Path)
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    args, command = parser.parse_args(words[:at]), words[at + 1 :]

    from blake3 import blake3

    token = args.token_file.read_text().strip() if args.token_file else None
    try:
        coordinator = Coordinator(args.addr, token)
        if args.show:
            print(coordinator.call("Jobs", "Get", coordinator.type("JobRequest")(job_id=args.show)))
            return 0
        job = submit(coordinator, lambda data: blake3(data).digest(), args.image, command, args.inputs)
        print("job", job)
        view = None
        for view in coordinator.call("Jobs", "Watch", coordinator.type("JobRequest")(job_id=job)):
            done = sum(stage.succeeded + stage.failed for stage in view.stages)
            print(f"{done} of {sum(stage.items for stage in view.stages)} done", file=sys.stderr)
        print("fetched", fetch(coordinator, job, args.output))
        succeeded = coordinator.pool.FindEnumTypeByName("longshore.v1.JobState").values_by_name["JOB_STATE_SUCCEEDED"]
        return 0 if view.state == succeeded.number else 3
    except grpc.RpcError as error:
        print(explain(error), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
