"""Records heartbeats from a network interface, and plays them again; makes beats of a pair that is not ours.

usage (in the network namespace of a host):
    beats.py record FILE INTERFACE COUNT SOURCE     the next COUNT frames to UDP port 694 from that address
    beats.py replay FILE PER_SECOND SOURCE                  the same beats, once, in order, from that address: who plays them is
                                                            not who made them, and a kernel takes nothing from its own address
    beats.py craft SOURCE COUNT PER_SECOND PAIR KEY NODE    well-formed beats (docs/protocol.md) to the group on the lan
Exit status 1 when not enough came within 10 s.
"""
import hashlib
import hmac
import os
import socket
import struct
import sys
import time

ETH_P_ALL, PORT, GROUP = 3, 694, '239.0.42.1'


def is_beat(frame, source):
    if len(frame) < 42 or frame[12:14] != b'\x08\x00' or frame[23] != 17:
        return False
    header = (frame[14] & 15) * 4
    return (frame[26:30] == source and
            struct.unpack('!H', frame[14 + header + 2:14 + header + 4])[0] == PORT)


def record(path, interface, count, source):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.bind((interface, ETH_P_ALL))
    frames, end = [], time.monotonic() + 10
    while len(frames) < count and time.monotonic() < end:
        s.settimeout(max(0.01, end - time.monotonic()))
        try:
            frame = s.recv(65536)
        except TimeoutError:
            break
        if is_beat(frame, socket.inet_aton(source)):
            frames.append(frame)
    with open(path, 'wb') as f:
        for frame in frames:
            f.write(struct.pack('!H', len(frame)) + frame)
    return len(frames) == count


def payload(frame):
    return frame[14 + (frame[14] & 15) * 4 + 8:]


def send(beats, source, per_second):
    """To the group, from one of our own addresses."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((source, 0))
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(source))
    begin, sent = time.monotonic(), 0
    for beat in beats:
        s.sendto(beat, (GROUP, PORT))
        sent += 1
        # the pace of a sender, not a wait for anything to happen
        time.sleep(max(0, begin + sent / per_second - time.monotonic()))     # tidy: keeps the rate that was asked for
    return sent > 0


def replay(path, per_second, source):
    with open(path, 'rb') as f:
        data = f.read()
    beats = []
    while data:
        length = struct.unpack('!H', data[:2])[0]
        beats.append(payload(data[2:2 + length]))
        data = data[2 + length:]
    return send(beats, source, per_second)


def craft(seq, session, pair, key, node):
    """A healthy standby's beat, as that node of that pair would send it."""
    def name(text):
        return hashlib.sha256(text.encode()).digest()[:8]
    body = struct.pack('!IBBH', 0x4d505242, 1, 1, 192) + name(pair) + name(node) + bytes(range(16)) + session
    body += struct.pack('!QQQQI', 0, seq, seq * 50000, 0, 0xffffffff) + bytes([1, 1, 0, 1])
    body = body.ljust(160, b'\0')
    return body + hmac.new(key.encode(), body, hashlib.sha256).digest()


def main(argv):
    if argv[0] == 'record':
        ok = record(argv[1], argv[2], int(argv[3]), argv[4])
    elif argv[0] == 'replay':
        ok = replay(argv[1], int(argv[2]), argv[3])
    else:
        session = os.urandom(8)
        ok = send([craft(n, session, *argv[4:7]) for n in range(1, int(argv[2]) + 1)], argv[1], int(argv[3]))
    return 0 if ok else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
