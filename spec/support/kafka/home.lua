--- Where the Apache Kafka of the specs is on this machine, and what is missing.
local uv = require("luv")

local home = {}

local function environment(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

home.version = environment("MOONPOST_KAFKA_VERSION") or "3.9.1"

local function cache()
  return (environment("XDG_CACHE_HOME") or (os.getenv("HOME") or "") .. "/.cache") .. "/moonpost"
end

-- What `fetch` has put there, or what the user names: a distribution, or a folder of jars.
local function jars_folder()
  local chosen = environment("KAFKA_HOME")
  if not chosen then
    return cache() .. "/kafka-" .. home.version
  end
  return uv.fs_stat(chosen .. "/libs") and chosen .. "/libs" or chosen
end

--- The path of a program, as a shell would find it; nil when there is none.
function home.find_program(name)
  for folder in (os.getenv("PATH") or ""):gmatch("[^:]+") do
    if uv.fs_access(folder .. "/" .. name, "X") then
      return folder .. "/" .. name
    end
  end
end

function home.java()
  local chosen = environment("JAVA_HOME")
  if chosen and uv.fs_access(chosen .. "/bin/java", "X") then
    return chosen .. "/bin/java"
  end
  return home.find_program("java")
end

--- Every jar, apart by colons and always in the same order, which the archive asks for.
function home.classpath()
  local folder, jars = jars_folder(), {}
  local scan = uv.fs_scandir(folder)
  while scan do
    local name = uv.fs_scandir_next(scan)
    if not name then
      break
    end
    if name:find("%.jar$") then
      jars[#jars + 1] = folder .. "/" .. name
    end
  end
  table.sort(jars)
  return #jars > 0 and table.concat(jars, ":") or nil, folder
end

--- The JVM's archive of loaded classes, which halves the time of a start: where it is or would be.
function home.archive()
  return cache() .. "/kafka-" .. home.version .. ".jsa"
end

function home.has_archive()
  return not environment("KAFKA_HOME") and uv.fs_stat(home.archive()) ~= nil
end

--- The running broker that the user names, as host:port.
function home.given()
  return environment("MOONPOST_TEST_KAFKA")
end

local function why_no_client()
  if not home.find_program("kcat") then
    return "there is no kcat"
  end
end

--- Why no node can be started here; nil when it can.
function home.why_no_nodes()
  if home.given() then
    return "MOONPOST_TEST_KAFKA names a broker that is not ours to start and kill"
  end
  if not home.java() then
    return "there is no Java"
  end
  local classpath, folder = home.classpath()
  if not classpath then
    local hint = environment("KAFKA_HOME") and ", which KAFKA_HOME names" or ": ./dev test fetches them"
    return environment("MOONPOST_NO_KAFKA") or "there are no jars of Kafka in " .. folder .. hint
  end
  return why_no_client()
end

--- Why there is no broker at all.
function home.why_none()
  if home.given() then
    return why_no_client()
  end
  return home.why_no_nodes()
end

return home
