# Moonpost in an image: docker build -t moonpost .
#
#   docker run --read-only -v moonpost:/data -v "$PWD/scripts:/scripts:ro" \
#     -v "$PWD/tokens:/tokens:ro" -e MOONPOST_INGEST_TOKEN_FILE=/tokens \
#     -p 127.0.0.1:4000:4000 moonpost
#
# Every flag of `moonpost run` is a MOONPOST_… in the environment. Inside, Moonpost listens off
# loopback, so it wants ingest tokens, or to be told that none are wanted (MOONPOST_NO_AUTH=true).
# It writes nowhere but to /data.

FROM debian:bookworm-slim AS build
WORKDIR /src
# Packages in a layer of their own, so that a changed source does not fetch them again.
COPY dev ./
RUN ./dev packages
COPY . ./
RUN cmake -G Ninja -B build -DCMAKE_BUILD_TYPE=RelWithDebInfo \
      -DLLHTTP_SOURCES=/src/build-deps/llhttp/usr/share/llhttp \
 && ninja -C build moonpost && strip build/moonpost

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libcurl4 libluajit-5.1-2 \
      librdkafka1 libsqlite3-0 libssl3 libuv1 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log \
 && useradd --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin moonpost \
 && install -d -o moonpost -g moonpost -m 700 /data
COPY --from=build /src/build/moonpost /usr/local/bin/moonpost
COPY scripts /scripts
COPY LICENSE /usr/share/doc/moonpost/copyright
ENV MOONPOST_LISTEN=0.0.0.0:4000 MOONPOST_SCRIPTS=/scripts MOONPOST_DATA=/data
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 4000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["moonpost", "health"]
ENTRYPOINT ["moonpost"]
CMD ["run"]
