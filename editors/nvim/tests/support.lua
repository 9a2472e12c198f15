-- What specs stand on: a scripted model behind the real `codex-rpc`, a home and a project in
-- temporary folders, and what a model can say.

local S = {}

local here = vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':p:h')
local MODEL = vim.fs.normalize(here .. '/../../../tests/editors/model_process.py')
local first_folder = vim.fn.getcwd()

---@type function[] what is done behind each spec, last first
local cleaning = {}

--- Have something done when the spec is over, whatever its outcome.
---@param fn function
function S.on_clean(fn)
  table.insert(cleaning, fn)
end

--- End what a spec has started, all of it; the runner does.
function S.clean()
  local problems = {}
  while #cleaning > 0 do
    local ok, problem = xpcall(table.remove(cleaning), debug.traceback)
    if not ok then
      table.insert(problems, problem)
    end
  end
  if #problems > 0 then
    error(table.concat(problems, '\n'), 0)
  end
end

--- What helps to understand a spec that has failed.
---@return string
function S.state()
  local log = package.loaded['codex.log']
  local path = log and log.path()
  local lines = path and vim.fn.filereadable(path) == 1 and vim.fn.readfile(path, '', -15) or {}
  return #lines > 0 and ('the end of the log:\n  ' .. table.concat(lines, '\n  ')) or ''
end

--- A new temporary folder, gone behind the spec.
---@return string
function S.folder()
  local path = vim.uv.fs_realpath(vim.fn.tempname():match('^(.*)/')) .. '/codex-' .. vim.uv.hrtime()
  vim.fn.mkdir(path, 'p')
  S.on_clean(function()
    vim.fn.delete(path, 'rf')
  end)
  return path
end

--- Write a file, with the folders above it.
---@param path string
---@param text string
function S.write(path, text)
  vim.fn.mkdir(vim.fs.dirname(path), 'p')
  local file = assert(io.open(path, 'wb'))
  file:write(text)
  file:close()
end

--- The text of a file.
---@param path string
---@return string
function S.read(path)
  local file = assert(io.open(path, 'rb'))
  local text = file:read('*a')
  file:close()
  return text
end

local function set_env(name, value)
  local before = vim.env[name]
  vim.env[name] = value
  S.on_clean(function()
    vim.env[name] = before
  end)
end

---@class TestModel
---@field url string
---@field log string
---@field process vim.SystemObj
local Model = {}
Model.__index = Model

--- Start the scripted model server.
---@param script table|{deltas: integer} as in tests/support/model_server.py; a list: its responses
---@return TestModel
function S.model(script)
  local folder = S.folder()
  if vim.islist(script) then
    script = { responses = script }
  end
  S.write(folder .. '/script.json', vim.json.encode(script))
  local self = setmetatable({ log = folder .. '/log' }, Model)
  local said = ''
  self.process = vim.system({
    vim.env.CODEX_PYTHON or 'python3',
    MODEL,
    folder .. '/script.json',
    self.log,
  }, {
    stdin = true,
    stdout = function(_, data)
      said = said .. (data or '')
    end,
    stderr = function(_, data)
      io.stderr:write(data or '')
    end,
  })
  S.on_clean(function()
    self:stop()
  end)
  T.wait(function()
    return said:find('\n')
  end, 'the model server')
  self.url = ('http://127.0.0.1:%d/v1'):format(tonumber(said))
  return self
end

--- Let `S.hold(name)` go on.
---@param name string
function Model:release(name)
  self.process:write(name .. '\n')
end

--- The bodies of the requests so far.
---@return table[]
function Model:requests()
  local bodies = {}
  for line in vim.gsplit(vim.uv.fs_stat(self.log) and S.read(self.log) or '', '\n') do
    local entry = line ~= '' and vim.json.decode(line)
    if entry and entry.method then
      table.insert(bodies, entry.body)
    end
  end
  return bodies
end

function Model:stop()
  if not self.process:is_closing() then
    self.process:kill('sigterm')
    self.process:wait(3000)
  end
end

---@class TestWorld
---@field model TestModel
---@field home string $CODEX_HOME
---@field folder string the project, the current folder

---@class TestWorldOptions
---@field files table<string, string>? what is in the project
---@field config table<string, any>? keys of config.toml; policies are the loosest unless named
---@field setup table? options for `require('codex').setup`

--- A scripted model, a home that names it, and a project as the current folder.
---@param script table
---@param options TestWorldOptions?
---@return TestWorld
function S.world(script, options)
  options = options or {}
  local world = { model = S.model(script), home = S.folder(), folder = S.folder() }
  local values = vim.tbl_extend('force', {
    model_provider = 'loopback',
    approval_policy = 'never',
    sandbox_mode = 'danger-full-access',
  }, options.config or {})
  local lines = {}
  for key, value in vim.spairs(values) do
    table.insert(lines, ('%s = %s'):format(key, vim.json.encode(value)))
  end
  vim.list_extend(lines, {
    '[model_providers.loopback]',
    'name = "loopback"',
    ('base_url = "%s"'):format(world.model.url),
    'stream_max_retries = 2',
  })
  S.write(world.home .. '/config.toml', table.concat(lines, '\n') .. '\n')
  for name, text in pairs(options.files or {}) do
    S.write(world.folder .. '/' .. name, text)
  end
  vim.fn.mkdir(world.folder .. '/.git', 'p')
  vim.fn.mkdir(world.home .. '/state/nvim', 'p')
  set_env('CODEX_HOME', world.home)
  set_env('XDG_STATE_HOME', world.home .. '/state')
  vim.api.nvim_set_current_dir(world.folder)
  S.on_clean(function()
    vim.api.nvim_set_current_dir(first_folder)
  end)
  require('codex').setup(options.setup or {})
  S.on_clean(S.close)
  return world
end

--- Close what is open in this Neovim: windows, buffers, servers, sessions.
function S.close()
  require('codex.server').stop_all()
  vim.cmd('silent! tabonly! | silent! only! | silent! %bwipeout!')
  T.wait(function()
    return require('codex.server').running() == 0
  end, 'the servers to end')
  for _, session in ipairs(require('codex.sessions_open').all()) do
    session:close()
  end
end

--- Open a session, and wait until it is there.
---@param params table?
---@return codex.Session
function S.session(params)
  local failed, opened
  local codex = require('codex.server').get()
  require('codex.session').configure(codex, params or {}, function(err, session)
    failed, opened = err, session
  end)
  T.wait(function()
    return failed or opened
  end, 'the session')
  assert(not failed, vim.inspect(failed))
  return opened
end

--- Collect what a session tells.
---@param session codex.Session
---@return table[]
function S.events(session)
  local events = {}
  session:subscribe(function(msg)
    table.insert(events, msg)
  end)
  return events
end

--- Wait for the n-th event of a type.
---@param events table[]
---@param type string
---@param n integer?
---@return table
function S.wait_event(events, type, n)
  return T.wait(function()
    local found = vim.tbl_filter(function(msg)
      return msg.type == type
    end, events)
    return found[n or 1]
  end, function()
    return type .. ' among ' .. table.concat(S.types(events), ' ')
  end)
end

--- The types of events, in order.
---@param events table[]
---@return string[]
function S.types(events)
  return vim.tbl_map(function(msg)
    return msg.type
  end, events)
end

--- Send a signal to the server process of this Neovim.
---@param signal 'sigkill'|'sigstop'|'sigcont'|'sigterm'
function S.signal(signal)
  local sent = 0
  for _, pid in ipairs(vim.api.nvim_get_proc_children(vim.fn.getpid())) do
    local process = vim.api.nvim_get_proc(pid)
    if process and process.name == 'codex-rpc' then
      vim.uv.kill(pid, signal)
      sent = sent + 1
    end
  end
  assert(sent == 1, sent .. ' servers run')
end

--- Have what would be said to a person instead; the texts, as they come.
---@return string[]
function S.notices()
  local said, notify = {}, vim.notify
  vim.notify = function(text) ---@diagnostic disable-line: duplicate-set-field
    table.insert(said, text)
  end
  S.on_clean(function()
    vim.notify = notify
  end)
  return said
end

--- Wait for a notice with a text in it.
---@param notices string[]
---@param part string
---@return string
function S.wait_notice(notices, part)
  return T.wait(function()
    for _, text in ipairs(notices) do
      if text:find(part, 1, true) then
        return text
      end
    end
  end, function()
    return ('%q among %s'):format(part, vim.inspect(notices))
  end)
end

--- What a model was told as a user's words, without what is injected.
---@param request table
---@return string[]
function S.told(request)
  local texts = {}
  for _, item in ipairs(request.input) do
    for _, part in ipairs(item.role == 'user' and item.content or {}) do
      if not vim.startswith(part.text or '<', '<') then
        table.insert(texts, part.text)
      end
    end
  end
  return texts
end

--- Options for a server that answers each input with so many deltas, each in its own message.
---@param count integer
---@return codex.Options
function S.flood(count)
  local python = vim.env.CODEX_PYTHON or 'python3'
  return { cmd = { python, here .. '/flood.py', tostring(count) } }
end

--- Watch the main loop; the function that is returned ends that, and says for how many ms it was
--- blocked at most. Counted is the time that Neovim itself has used, not what it has waited for its
--- turn on a busy machine.
---@return fun(): number
function S.longest_gap()
  local last, longest_s = os.clock(), 0
  local function look()
    local now = os.clock()
    longest_s = math.max(longest_s, now - last)
    last = now
  end
  local timer = assert(vim.uv.new_timer())
  timer:start(0, 1, look)
  return function()
    look()
    timer:close()
    return longest_s * 1000
  end
end

--- The text of all deltas of a message.
---@param events table[]
---@return string
function S.joined(events)
  local texts = {}
  for _, msg in ipairs(events) do
    if msg.type == 'agent_message_delta' then
      table.insert(texts, msg.delta)
    end
  end
  return table.concat(texts)
end

--- An input of one text.
---@param text string
function S.says(text)
  return { { type = 'text', text = text } }
end

-- What a model can say: responses, for `S.world({ ... })`.

local n = 0

local function response(...)
  n = n + 1
  local id = ('resp_%d'):format(n)
  local events = { { type = 'response.created', response = { id = id } } }
  for _, more in ipairs({ ... }) do
    vim.list_extend(events, more)
  end
  local usage = { input_tokens = 1000, output_tokens = 50, total_tokens = 1050 }
  table.insert(events, { type = 'response.completed', response = { id = id, usage = usage } })
  return { events = events }
end

local function message(texts)
  n = n + 1
  local item = { type = 'message', id = ('msg_%d'):format(n), role = 'assistant' }
  local began = vim.tbl_extend('error', item, { content = {} })
  local events = { { type = 'response.output_item.added', item = began } }
  local whole = ''
  for _, text in ipairs(texts) do
    if type(text) == 'table' then
      table.insert(events, text)
    else
      whole = whole .. text
      table.insert(events, { type = 'response.output_text.delta', item_id = item.id, delta = text })
    end
  end
  local content = { { type = 'output_text', text = whole, annotations = {} } }
  table.insert(events, {
    type = 'response.output_item.done',
    item = vim.tbl_extend('error', item, { content = content }),
  })
  return events
end

local function call(name, arguments)
  n = n + 1
  return {
    {
      type = 'response.output_item.done',
      item = {
        type = 'function_call',
        id = ('fc_%d'):format(n),
        call_id = ('call_%d'):format(n),
        name = name,
        arguments = vim.json.encode(arguments),
      },
    },
  }
end

--- Waits until the model is told `release(name)`, or for ever: one of the texts of `S.text`.
---@param name string?
function S.hold(name)
  return { hold = name or 'for ever' }
end

--- A pause: one of the texts of `S.text`.
---@param seconds number
function S.pause(seconds)
  return { sleep = seconds }
end

--- A message, streamed text by text.
---@param ... string|table
function S.text(...)
  return response(message({ ... }))
end

--- A message behind some reasoning.
---@param reasoning string
---@param ... string|table
function S.reasoned(reasoning, ...)
  n = n + 1
  local id = ('rs_%d'):format(n)
  return response({
    { type = 'response.output_item.added', item = { type = 'reasoning', id = id, summary = {} } },
    {
      type = 'response.reasoning_summary_text.delta',
      item_id = id,
      summary_index = 0,
      delta = reasoning,
    },
    {
      type = 'response.output_item.done',
      item = {
        type = 'reasoning',
        id = id,
        summary = { { type = 'summary_text', text = reasoning } },
      },
    },
  }, message({ ... }))
end

--- A command.
---@param command string[]
---@param more table? `justification`, `with_escalated_permissions`, `workdir`, ...
function S.shell(command, more)
  return response(call('shell', vim.tbl_extend('error', { command = command }, more or {})))
end

--- A patch in the format of `apply_patch`.
---@param ... string its lines, without the first and the last
function S.patch(...)
  local lines = { '*** Begin Patch', ... }
  table.insert(lines, '*** End Patch')
  return response(call('apply_patch', { input = table.concat(lines, '\n') }))
end

--- A plan.
---@param plan {step: string, status: string}[]
---@param explanation string?
function S.plan(plan, explanation)
  return response(call('update_plan', { plan = plan, explanation = explanation }))
end

return S
