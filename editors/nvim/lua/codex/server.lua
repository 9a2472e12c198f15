-- The servers of this Neovim, one per project.

local M = {}

---@type table<string, codex.Server>
local servers = {}

---@param path string
---@return string
local function real(path)
  return vim.uv.fs_realpath(path) or vim.fs.normalize(path)
end

--- The project of the current buffer: the nearest folder with a marker, else the current folder.
---@return string
function M.root()
  local markers = require('codex.config').get().root_markers
  -- Of buffers that are no files, such as the chat, Neovim takes the current folder.
  return real(vim.fs.root(0, markers) or vim.fn.getcwd())
end

--- The server of a project, started if it is not running.
---@param root string? default: that of the current buffer
---@return codex.Server
function M.get(root)
  root = root and real(root) or M.root()
  servers[root] = servers[root] or require('codex.supervisor').new(root)
  servers[root]:wake()
  return servers[root]
end

--- All servers that there have been, in the order of their projects' names.
---@return codex.Server[]
function M.all()
  local all = {}
  for _, server in vim.spairs(servers) do
    table.insert(all, server)
  end
  return all
end

--- The server that one of Neovim's LSP clients belongs to.
---@param client_id integer
---@return codex.Server?
function M.of_client(client_id)
  for _, server in pairs(servers) do
    if server.process and server.process.client_id == client_id then
      return server
    end
  end
end

--- How many processes run.
---@return integer
function M.running()
  local count = 0
  for _, server in pairs(servers) do
    count = count + (server.process and 1 or 0)
  end
  return count
end

--- End all of them.
function M.stop_all()
  for _, server in pairs(servers) do
    server:stop()
  end
end

return M
