-- One run of `codex-rpc` as a client of Neovim's own LSP support. It knows nothing of sessions and
-- of starting again: what comes and when it ends goes to whoever started it.

local M = {}

local ON_0_10 = vim.fn.has('nvim-0.11') == 0

---@class codex.Process.Hooks
---@field ready fun() it is initialised
---@field event fun(params: table) a `session/event`
---@field exit fun(code: integer, signal: integer, wanted: boolean) wanted: Neovim ended it

---@class codex.Process
---@field client_id integer
---@field private rpc vim.lsp.rpc.PublicClient
---@field problem string? why it has to end
---@field stopping boolean Neovim ends it, or we do
local Process = {}
Process.__index = Process

--- What is offered to the server. Of Neovim 0.10's two clients of a buffer, one with utf-8 and one
--- with utf-16, it warns and takes the first one's word; so there it stays with Neovim's own.
local function capabilities()
  local offered = vim.lsp.protocol.make_client_capabilities()
  if not ON_0_10 then
    offered.general = offered.general or {}
    offered.general.positionEncodings = { 'utf-8', 'utf-16', 'utf-32' }
  end
  return offered
end

--- Start the server for a project; nil and why not, if that cannot be. `hooks` are called on the
--- main loop, `exit` as the last one.
---@param root string
---@param hooks codex.Process.Hooks
---@return codex.Process?, string? problem
function M.start(root, hooks)
  local config = require('codex.config').get()
  if vim.fn.executable(config.cmd[1]) == 0 then
    return nil, ('There is no `%s` that can be run'):format(config.cmd[1])
  end
  local self = setmetatable({ stopping = false }, Process)
  local problem

  local function run(dispatchers)
    local on_exit = dispatchers.on_exit
    dispatchers.on_exit = function(code, signal)
      -- Neovim would say on its own that a client quit, and name another log.
      on_exit(0, 0)
      hooks.exit(code, signal, self.stopping)
    end
    local rpc
    rpc, problem = require('codex.rpc').start(config.cmd, {
      cwd = root,
      env = config.env,
      stderr = require('codex.log').prepare(),
      garbage = function(what)
        self.problem = what
      end,
    }, dispatchers)
    -- Neovim ends clients by itself, when it is left or on :LspStop; that is no crash.
    local request, terminate = assert(rpc, problem).request, rpc.terminate
    rpc.request = function(method, ...)
      self.stopping = self.stopping or method == 'shutdown'
      return request(method, ...)
    end
    rpc.terminate = function()
      self.stopping = true
      return terminate()
    end
    self.rpc = rpc
    return rpc
  end

  local documents = require('codex.documents')
  ---@type vim.lsp.ClientConfig
  local client = {
    name = 'codex',
    cmd = run,
    root_dir = root,
    capabilities = capabilities(),
    -- A patch has to see the last key that was pressed.
    flags = { debounce_text_changes = 0, allow_incremental_sync = true },
    init_options = {
      codex = {
        saveDocuments = config.save_documents,
        patchReview = config.patch_review,
        showDocument = config.follow,
      },
    },
    handlers = {
      ['session/event'] = function(_, params)
        hooks.event(params)
      end,
      ['workspace/applyEdit'] = function(err, params, context)
        -- Neovim prints the label; a long one would ask for a key. The chat has what is edited.
        params.label = nil
        local result = vim.lsp.handlers['workspace/applyEdit'](err, params, context)
        documents.end_created(params.edit)
        return result
      end,
      ['codex/saveDocuments'] = function(_, params)
        return documents.save(params)
      end,
    },
    commands = require('codex.actions').commands(),
    on_init = function()
      documents.attach_all(root, self.client_id)
      -- Neovim 0.10 tells of the buffers behind this; what is asked has to come behind that.
      vim.schedule(hooks.ready)
    end,
  }
  local ok, id
  if ON_0_10 then
    -- Its vim.lsp.start attaches the current buffer, whatever that is.
    ok, id = pcall(vim.lsp.start_client, client)
  else
    ok, id = pcall(vim.lsp.start, client, {
      attach = false,
      silent = true,
      reuse_client = function()
        return false
      end,
    })
  end
  if not ok or not id then
    problem = problem or (not ok and id) or 'no reason is known'
    return nil, ('`%s` could not be started: %s'):format(config.cmd[1], problem)
  end
  self.client_id = id
  return self
end

--- Neovim's client; nil when it is over.
---@return vim.lsp.Client?
function Process:client()
  return vim.lsp.get_client_by_id(self.client_id)
end

--- Send a request; false if there is nobody to send it to. No answer comes if it ends meanwhile.
---@param method string
---@param params table
---@param callback fun(err: codex.Error?, result: any)
---@return boolean sent
function Process:request(method, params, callback)
  local client = self:client()
  if not client then
    return false
  end
  if ON_0_10 then
    return (client.request(method, params, callback))
  end
  return (client:request(method, params, callback))
end

--- End it: as LSP has it, or, with `force`, at once.
---@param force boolean?
function Process:stop(force)
  local client = self:client()
  if force or not client then
    -- Neovim's own `stop` does nothing the second time.
    self.rpc.terminate()
  elseif ON_0_10 then
    client.stop()
  else
    client:stop()
  end
end

return M
